/*
 * args.c: reads a command line by the table of its command. It allocates only the list of operands; every message
 * names what was typed and what would have been right.
 */
#include "args.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

const ht_option ht_help_option = {HT_OPT_HELP, "help", 'h', HT_KIND_FLAG, NULL, "print this help and end", 0, 0};

const ht_command *ht_command_find(const char *name) {
    for (size_t i = 0; i < ht_commands_count; i++)
        if (!strcmp(ht_commands[i].name, name))
            return &ht_commands[i];
    return NULL;
}

const ht_command *ht_command_at(int argc, char *const *argv, int *words) {
    for (size_t i = 0; argc > 1 && i < ht_commands_count; i++) {
        const char *name = ht_commands[i].name, *space = strchr(name, ' ');
        if (space && !strncmp(name, argv[0], (size_t)(space - name)) && !argv[0][space - name] &&
            !strcmp(space + 1, argv[1])) {
            *words = 2;
            return &ht_commands[i];
        }
    }
    *words = 1;
    return argc > 0 ? ht_command_find(argv[0]) : NULL;
}

bool ht_command_group(const char *name) {
    size_t bytes = strlen(name);
    for (size_t i = 0; i < ht_commands_count; i++)
        if (bytes && !strncmp(ht_commands[i].name, name, bytes) && ht_commands[i].name[bytes] == ' ')
            return true;
    return false;
}

enum { WORD_MAX = 32 };

/* Edits (insert, delete, replace, swap of neighbours) that turn a into b; words longer than WORD_MAX never match. */
static size_t distance(const char *a, const char *b) {
    size_t na = strlen(a), nb = strlen(b);
    if (na > WORD_MAX || nb > WORD_MAX)
        return SIZE_MAX;
    size_t row[3][WORD_MAX + 1];
    for (size_t j = 0; j <= nb; j++)
        row[0][j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t *now = row[i % 3], *before = row[(i + 2) % 3], *older = row[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t best = before[j - 1] + (a[i - 1] != b[j - 1]);
            if (before[j] + 1 < best)
                best = before[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && older[j - 2] + 1 < best)
                best = older[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[na % 3][nb];
}

const char *ht_nearest_word(const char *typed, const char *const *words, size_t count) {
    const char *best = NULL;
    size_t length = strlen(typed), least = 1 + length / 3;
    for (size_t i = 0; i < count; i++) {
        if (!words[i])
            continue;
        size_t d = length >= 3 && !strncmp(words[i], typed, length) ? 1 : distance(typed, words[i]);
        if (d <= least && d < strlen(words[i])) {
            if (!best || d < least)
                best = words[i];
            least = d;
        }
    }
    return best;
}

static const ht_option *option_by_name(const ht_command *command, const char *name, size_t bytes) {
    for (const ht_option *o = command->options; o->name || o->letter; o++)
        if (o->name && strlen(o->name) == bytes && !memcmp(o->name, name, bytes))
            return o;
    return bytes == 4 && !memcmp(name, "help", 4) ? &ht_help_option : NULL;
}

static const ht_option *option_by_letter(const ht_command *command, char letter) {
    for (const ht_option *o = command->options; o->name || o->letter; o++)
        if (o->letter == letter)
            return o;
    return letter == 'h' ? &ht_help_option : NULL;
}

static void unknown_option(const ht_command *command, const char *name, size_t bytes, ht_buf *message) {
    const char *words[HT_OPT_COUNT + 1] = {"help"};
    size_t count = 1;
    for (const ht_option *o = command->options; o->name || o->letter; o++)
        words[count++] = o->name;
    char typed[WORD_MAX + 1];
    size_t cut = ht_min_size(bytes, WORD_MAX);
    memcpy(typed, name, cut);
    typed[cut] = '\0';
    const char *near = ht_nearest_word(typed, words, count);
    ht_buf_printf(message, "unknown option --%.*s", (int)ht_min_size(bytes, 200), name);
    if (near)
        ht_buf_printf(message, "; did you mean --%s?", near);
}

static void shown_name(const ht_option *o, ht_buf *message) {
    if (o->name && (!o->letter || o->name[1]))
        ht_buf_printf(message, "--%s", o->name);
    else
        ht_buf_printf(message, "-%c", o->letter);
}

/* "cosine, dot, l2 or l1" */
static void spell_choices(const char *words, ht_buf *message) {
    for (const char *w = words; *w;) {
        size_t n = strcspn(w, "|");
        const char *next = w[n] ? w + n + 1 : w + n;
        ht_buf_put(message, w, n);
        if (*next)
            ht_buf_puts(message, next[strcspn(next, "|")] ? ", " : " or ");
        w = next;
    }
}

static bool read_choice(const ht_option *o, const char *text, int *out) {
    int index = 0;
    for (const char *w = o->value; *w; index++) {
        size_t n = strcspn(w, "|");
        if (strlen(text) == n && !memcmp(text, w, n)) {
            *out = index;
            return true;
        }
        w += n + (w[n] == '|');
    }
    return false;
}

static bool read_number(const ht_option *o, const char *text, uint64_t *out) {
    if (!*text || text[strspn(text, "0123456789")])
        return false;
    errno = 0;
    unsigned long long value = strtoull(text, NULL, 10);
    if (errno || value < o->min || value > o->max)
        return false;
    *out = value;
    return true;
}

static bool read_real(const char *text, double *out) {
    char *end;
    double value = strtod(text, &end);
    if (!*text || *end || !isfinite(value))
        return false;
    *out = value;
    return true;
}

static bool set_value(ht_args *args, const ht_option *o, const char *text, ht_buf *message) {
    bool fine = true;
    switch (o->kind) {
    case HT_KIND_NUMBER:
        fine = read_number(o, text, &args->values[o->key].number);
        break;
    case HT_KIND_REAL:
        fine = read_real(text, &args->values[o->key].real);
        break;
    case HT_KIND_CHOICE:
        fine = read_choice(o, text, &args->values[o->key].choice);
        break;
    case HT_KIND_FLAG:
    case HT_KIND_TEXT:
        break;
    }
    if (fine) {
        args->values[o->key].given = true;
        args->values[o->key].text = text;
        return true;
    }
    shown_name(o, message);
    if (o->kind == HT_KIND_NUMBER) {
        ht_buf_puts(message, " wants a whole number");
        if (o->max < UINT64_MAX)
            ht_buf_printf(message, " from %llu to %llu", (unsigned long long)o->min, (unsigned long long)o->max);
        else if (o->min)
            ht_buf_printf(message, " of at least %llu", (unsigned long long)o->min);
    } else if (o->kind == HT_KIND_REAL) {
        ht_buf_puts(message, " wants a number");
    } else {
        ht_buf_puts(message, " wants ");
        spell_choices(o->value, message);
    }
    ht_buf_printf(message, ", not \"%.100s\"", text);
    return false;
}

/* A long option at argv[*at]; takes the next argument too where the value stands there. */
static bool read_long(ht_args *args, int argc, char **argv, int *at, ht_buf *message) {
    const char *name = argv[*at] + 2, *equals = strchr(name, '=');
    size_t bytes = equals ? (size_t)(equals - name) : strlen(name);
    const ht_option *o = option_by_name(args->command, name, bytes);
    if (!o) {
        unknown_option(args->command, name, bytes, message);
        return false;
    }
    if (o->kind == HT_KIND_FLAG) {
        if (equals)
            ht_buf_printf(message, "--%s takes no value", o->name);
        else
            args->values[o->key].given = true;
        return !equals;
    }
    if (equals)
        return set_value(args, o, equals + 1, message);
    if (*at + 1 >= argc) {
        ht_buf_printf(message, "--%s wants a value: --%s %s", o->name, o->name, o->value);
        return false;
    }
    return set_value(args, o, argv[++*at], message);
}

/* Short options at argv[*at]: flags may stand together, and the value may follow its letter at once. */
static bool read_short(ht_args *args, int argc, char **argv, int *at, ht_buf *message) {
    for (const char *p = argv[*at] + 1; *p; p++) {
        const ht_option *o = option_by_letter(args->command, *p);
        if (!o) {
            ht_buf_printf(message, "unknown option -%c", *p);
            size_t bytes = strlen(argv[*at] + 1);
            if (p == argv[*at] + 1 && option_by_name(args->command, p, bytes))
                ht_buf_printf(message, "; did you mean --%s?", p);
            return false;
        }
        if (o->kind == HT_KIND_FLAG) {
            args->values[o->key].given = true;
            continue;
        }
        if (p[1])
            return set_value(args, o, p[1] == '=' ? p + 2 : p + 1, message);
        if (*at + 1 >= argc) {
            ht_buf_printf(message, "-%c wants a value: -%c %s", o->letter, o->letter, o->value);
            return false;
        }
        return set_value(args, o, argv[++*at], message);
    }
    return true;
}

/* A negative number is an operand (an id), unless the command has a digit as an option, which none has. */
static bool is_option(const char *text) { return text[0] == '-' && text[1] && !(text[1] >= '0' && text[1] <= '9'); }

static bool check_operands(const ht_args *args, ht_buf *message) {
    const ht_command *c = args->command;
    if (args->count >= c->least && args->count <= c->most)
        return true;
    if (args->count > c->most)
        ht_buf_printf(message, "does not know what to do with \"%.100s\"", args->operands[c->most]);
    else
        ht_buf_puts(message, "something is missing");
    ht_buf_printf(message, "; usage: hither %s%s%s", c->name, c->options->name ? " [OPTIONS] " : " ", c->operands);
    if (args->count > c->most && !strcmp(c->name, "search"))
        ht_buf_puts(message, " (put quotes around a text of several words)");
    return false;
}

bool ht_args_parse(ht_args *args, const ht_command *command, int argc, char **argv, ht_buf *message) {
    memset(args, 0, sizeof *args);
    args->command = command;
    args->own = ht_calloc((size_t)argc + 1, sizeof *args->own);
    if (!args->own) {
        ht_buf_puts(message, "no memory for the arguments");
        return false;
    }
    args->operands = args->own;
    bool options_over = false;
    for (int i = 0; i < argc; i++) {
        if (!options_over && !strcmp(argv[i], "--"))
            options_over = true;
        else if (options_over || !is_option(argv[i]))
            args->own[args->count++] = argv[i];
        else if (!(argv[i][1] == '-' ? read_long : read_short)(args, argc, argv, &i, message))
            return false;
    }
    return ht_args_has(args, HT_OPT_HELP) || check_operands(args, message);
}

void ht_args_free(ht_args *args) {
    ht_release(args->own);
    args->own = NULL;
}

const char *ht_args_text(const ht_args *args, ht_opt key, const char *otherwise) {
    return args->values[key].given ? args->values[key].text : otherwise;
}

uint64_t ht_args_number(const ht_args *args, ht_opt key, uint64_t otherwise) {
    return args->values[key].given ? args->values[key].number : otherwise;
}

double ht_args_real(const ht_args *args, ht_opt key, double otherwise) {
    return ht_args_has(args, key) ? args->values[key].real : otherwise;
}

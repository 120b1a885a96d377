/*
 * help.c: the table of commands as people read it: `hither --help`, `hither COMMAND --help`, and the man page. Nothing
 * here knows a command or an option by name.
 */
#include <ctype.h>
#include <string.h>

#include "args.h"
#include "commands.h"

enum { WIDTH = 80 };

/* Breaks paragraphs to the width; the first line begins at `column`, the others at `indent`. */
static void wrap(ht_buf *out, const char *text, size_t indent, size_t column) {
    for (const char *p = text; *p;) {
        if (*p == '\n') {
            ht_buf_putc(out, '\n');
            column = 0;
            p++;
            continue;
        }
        if (*p == ' ') {
            p++;
            continue;
        }
        size_t n = strcspn(p, " \n");
        if (column > indent && column + 1 + n > WIDTH) {
            ht_buf_putc(out, '\n');
            column = 0;
        }
        if (column == 0)
            ht_buf_printf(out, "%*s", (int)indent, "");
        else if (column > indent)
            ht_buf_putc(out, ' ');
        column = column == 0 ? indent + n : column + n + (column > indent);
        ht_buf_put(out, p, n);
        p += n;
    }
    ht_buf_putc(out, '\n');
}

static void option_head(ht_buf *out, const ht_option *o) {
    if (o->letter)
        ht_buf_printf(out, "-%c%s", o->letter, o->name ? ", " : "");
    if (o->name)
        ht_buf_printf(out, "--%s", o->name);
    if (o->value)
        ht_buf_printf(out, " %s", o->value);
}

static void option_help(ht_buf *out, const ht_option *o) {
    size_t before = out->size;
    ht_buf_puts(out, o->letter ? "  " : "      ");
    option_head(out, o);
    size_t column = out->size - before;
    const size_t indent = 24;
    if (column + 2 > indent) {
        ht_buf_putc(out, '\n');
        column = 0;
    } else {
        ht_buf_printf(out, "%*s", (int)(indent - column), "");
        column = indent;
    }
    wrap(out, o->help, indent, column);
}

static void synopsis(ht_buf *out, const ht_command *c) {
    ht_buf_printf(out, "hither %s", c->name);
    if (c->options->name || c->options->letter)
        ht_buf_puts(out, " [OPTIONS]");
    if (*c->operands)
        ht_buf_printf(out, " %s", c->operands);
}

void ht_help_command(ht_buf *out, const ht_command *c) {
    ht_buf_puts(out, "usage: ");
    synopsis(out, c);
    ht_buf_puts(out, "\n\n");
    wrap(out, c->description, 0, 0);
    ht_buf_puts(out, "\nOptions:\n");
    for (const ht_option *o = c->options; o->name || o->letter; o++)
        option_help(out, o);
    option_help(out, &ht_help_option);
    if (c->examples)
        ht_buf_puts(out, "\nExamples:\n");
    for (const char *p = c->examples; p && *p;) {
        size_t n = strcspn(p, "\n");
        ht_buf_printf(out, "  %.*s\n", (int)n, p);
        p += n + (p[n] == '\n');
    }
}

void ht_help_group(ht_buf *out, const char *name) {
    size_t bytes = strlen(name);
    ht_buf_printf(out, "usage: hither %s COMMAND ...\n\nCommands:\n", name);
    for (size_t i = 0; i < ht_commands_count; i++)
        if (!strncmp(ht_commands[i].name, name, bytes) && ht_commands[i].name[bytes] == ' ')
            ht_buf_printf(out, "  %-14s%s\n", ht_commands[i].name, ht_commands[i].summary);
    ht_buf_printf(out, "\n\"hither %s COMMAND --help\" says more about one of them.\n", name);
}

void ht_help_all(ht_buf *out) {
    ht_buf_printf(out, "usage: hither COMMAND ...\n\n%s\n\nCommands:\n", ht_about_line);
    for (size_t i = 0; i < ht_commands_count; i++)
        ht_buf_printf(out, "  %-14s%s\n", ht_commands[i].name, ht_commands[i].summary);
    ht_buf_puts(out, "\n\"hither COMMAND --help\" says more about one of them, \"hither --version\" the version.\n\n"
                     "Examples:\n"
                     "  hither import notes.hither notes lines.txt\n"
                     "  hither search notes.hither notes \"a bird of prey\" -k 5\n"
                     "  tail -f app.log | hither watch\n");
}

/* Text for roff: backslashes and dashes escaped, a line never begins with a control character. */
static void roff(ht_buf *out, const char *text) {
    bool start = true;
    for (const char *p = text; *p; p++) {
        if (start && (*p == '.' || *p == '\''))
            ht_buf_puts(out, "\\&");
        if (*p == '\\')
            ht_buf_puts(out, "\\e");
        else if (*p == '-')
            ht_buf_puts(out, "\\-");
        else if (*p == '\n' && p[1] == '\n')
            ht_buf_puts(out, "\n.PP"), p++, ht_buf_putc(out, '\n');
        else
            ht_buf_putc(out, *p);
        start = *p == '\n';
    }
    if (!start)
        ht_buf_putc(out, '\n');
}

static void roff_option(ht_buf *out, const ht_option *o) {
    ht_buf head;
    ht_buf_init(&head, 1024);
    option_head(&head, o);
    ht_buf_puts(out, ".TP\n.B ");
    if (head.data)
        roff(out, head.data);
    ht_buf_clear(&head);
    roff(out, o->help);
}

static void roff_examples(ht_buf *out, const char *text) {
    ht_buf_puts(out, ".PP\n.nf\n.RS\n");
    roff(out, text);
    ht_buf_puts(out, ".RE\n.fi\n");
}

void ht_help_man(ht_buf *out) {
    ht_buf_printf(out, ".TH HITHER 1 \"\" \"hither %s\" \"User Commands\"\n", hither_version());
    ht_buf_puts(out, ".SH NAME\nhither \\- embedded vector engine\n.SH SYNOPSIS\n");
    for (size_t i = 0; i < ht_commands_count; i++) {
        const ht_command *c = &ht_commands[i];
        ht_buf_printf(out, "%s.B hither %s\n", i ? ".br\n" : "", c->name);
        ht_buf line;
        ht_buf_init(&line, 4096);
        if (c->options->name || c->options->letter)
            ht_buf_puts(&line, "[OPTIONS] ");
        ht_buf_puts(&line, c->operands);
        if (line.data && *line.data)
            roff(out, line.data);
        ht_buf_clear(&line);
    }
    ht_buf_puts(out, ".SH DESCRIPTION\n");
    roff(out, ht_about);
    ht_buf_puts(out, ".SH COMMANDS\n");
    for (size_t i = 0; i < ht_commands_count; i++) {
        const ht_command *c = &ht_commands[i];
        ht_buf_printf(out, ".SS hither %s ", c->name);
        roff(out, *c->operands ? c->operands : "\n");
        roff(out, c->description);
        for (const ht_option *o = c->options; o->name || o->letter; o++)
            roff_option(out, o);
        if (c->examples)
            roff_examples(out, c->examples);
    }
    for (size_t i = 0; i < ht_man_sections_count; i++) {
        ht_buf_printf(out, ".SH %s\n", ht_man_sections[i].title);
        roff(out, ht_man_sections[i].text);
    }
}

/* cmd_help.c: help, and what is said about a command line that makes no sense. */
#include <string.h>

#include "commands.h"
#include "output.h"

int ht_usage(const char *command, const ht_buf *message) {
    ht_say("%s%s%s", command, *command ? ": " : "", message->size ? message->data : "bad arguments");
    if (*command)
        ht_say("\"hither %s --help\" says more", command);
    else
        ht_say("\"hither --help\" lists the commands");
    return HT_EXIT_USAGE;
}

int ht_print_help(void (*fill)(ht_buf *out)) {
    ht_buf out;
    ht_buf_init(&out, SIZE_MAX / 2);
    fill(&out);
    ht_out_buf(&out);
    ht_buf_clear(&out);
    return HT_EXIT_OK;
}

int ht_unknown_command(const char *name) {
    const char *words[64] = {"--help", "--version"};
    size_t count = 2;
    for (size_t i = 0; i < ht_commands_count && count < 64; i++)
        words[count++] = ht_commands[i].name;
    const char *near = ht_nearest_word(name, words, count);
    ht_buf message;
    ht_buf_init(&message, 1000);
    ht_buf_printf(&message, "unknown %s %.100s", *name == '-' ? "option" : "command", name);
    if (near)
        ht_buf_printf(&message, "; did you mean %s?", near);
    int code = ht_usage("", &message);
    ht_buf_clear(&message);
    return code;
}

static int print_group(const char *name) {
    ht_buf out;
    ht_buf_init(&out, SIZE_MAX / 2);
    ht_help_group(&out, name);
    ht_out_buf(&out);
    ht_buf_clear(&out);
    return HT_EXIT_OK;
}

int ht_group(const char *name, const char *second) {
    if (!strcmp(second, "--help") || !strcmp(second, "-h"))
        return print_group(name);
    ht_buf typed;
    int code;
    ht_buf_init(&typed, 1000);
    if (*second) {
        ht_buf_printf(&typed, "%.100s %.100s", name, second);
        code = ht_unknown_command(typed.data);
    } else {
        ht_buf_puts(&typed, "a second word is wanted");
        code = ht_usage(name, &typed);
    }
    ht_buf_clear(&typed);
    return code;
}

int ht_run_help(const ht_args *args) {
    if (ht_args_has(args, HT_OPT_MAN))
        return ht_print_help(ht_help_man);
    if (args->count == 0)
        return ht_print_help(ht_help_all);
    int words;
    const ht_command *command = ht_command_at((int)args->count, args->operands, &words);
    if (!command && ht_command_group(args->operands[0]))
        return args->count == 1 ? print_group(args->operands[0]) : ht_group(args->operands[0], args->operands[1]);
    if (!command)
        return ht_unknown_command(args->operands[0]);
    if (words == 1 && args->count > 1 && ht_command_group(args->operands[0]))
        return ht_group(args->operands[0], args->operands[1]);
    ht_buf out;
    ht_buf_init(&out, SIZE_MAX / 2);
    ht_help_command(&out, command);
    if (words == 1 && ht_command_group(command->name)) { /* a command that others stand beside */
        ht_buf_putc(&out, '\n');
        ht_help_group(&out, command->name);
    }
    ht_out_buf(&out);
    ht_buf_clear(&out);
    return HT_EXIT_OK;
}

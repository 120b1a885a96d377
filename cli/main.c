/*
 * main.c: `hither`. Finds the command in the table, reads its arguments by the table, runs it, and ends with its exit
 * status. A reader that closes the pipe ends every command quietly.
 */
#include <signal.h>
#include <string.h>

#include "commands.h"
#include "output.h"

static int usage(const char *command, const ht_buf *message) {
    ht_say("%s%s%s", command, *command ? ": " : "", message->size ? message->data : "bad arguments");
    if (*command)
        ht_say("\"hither %s --help\" says more", command);
    else
        ht_say("\"hither --help\" lists the commands");
    return HT_EXIT_USAGE;
}

static int print(void (*fill)(ht_buf *out)) {
    ht_buf out;
    ht_buf_init(&out, SIZE_MAX / 2);
    fill(&out);
    ht_out_buf(&out);
    ht_buf_clear(&out);
    return HT_EXIT_OK;
}

static void version(ht_buf *out) { ht_buf_printf(out, "hither %s (%s)\n", hither_version(), hither_simd()); }

static int unknown_command(const char *name) {
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
    int code = usage("", &message);
    ht_buf_clear(&message);
    return code;
}

int ht_run_help(const ht_args *args) {
    if (ht_args_has(args, HT_OPT_MAN))
        return print(ht_help_man);
    if (args->count == 0)
        return print(ht_help_all);
    const ht_command *command = ht_command_find(args->operands[0]);
    if (!command)
        return unknown_command(args->operands[0]);
    ht_buf out;
    ht_buf_init(&out, SIZE_MAX / 2);
    ht_help_command(&out, command);
    ht_out_buf(&out);
    ht_buf_clear(&out);
    return HT_EXIT_OK;
}

static int run(const ht_command *command, int argc, char **argv) {
    ht_args args;
    ht_buf message;
    int code;
    ht_buf_init(&message, 4000);
    if (!ht_args_parse(&args, command, argc, argv, &message)) {
        code = usage(command->name, &message);
    } else if (ht_args_has(&args, HT_OPT_HELP)) {
        ht_help_command(&message, command);
        ht_out_buf(&message);
        code = HT_EXIT_OK;
    } else {
        code = command->run(&args);
    }
    ht_buf_clear(&message);
    ht_args_free(&args);
    return code;
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is noticed by the write that fails */
    ht_out_begin();
    int code;
    const char *first = argc > 1 ? argv[1] : "";
    const ht_command *command = ht_command_find(first);
    if (command) {
        code = run(command, argc - 2, argv + 2);
    } else if (!strcmp(first, "--help") || !strcmp(first, "-h")) {
        code = print(ht_help_all);
    } else if (!strcmp(first, "--version") || !strcmp(first, "-V")) {
        code = print(version);
    } else if (argc < 2) {
        ht_say("a command is wanted; \"hither --help\" lists them");
        code = HT_EXIT_USAGE;
    } else {
        code = unknown_command(first);
    }
    return ht_out_finish(code);
}

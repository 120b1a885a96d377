/*
 * main.c: `hither`. Finds the command in the table, reads its arguments by the table, runs it, and ends with its exit
 * status. A reader that closes the pipe ends every command quietly.
 */
#include <signal.h>
#include <string.h>

#include "commands.h"
#include "output.h"

static void version(ht_buf *out) { ht_buf_printf(out, "hither %s (%s)\n", hither_version(), hither_simd()); }

static int run(const ht_command *command, int argc, char **argv) {
    ht_args args;
    ht_buf message;
    int code;
    ht_buf_init(&message, SIZE_MAX / 2);
    if (!ht_args_parse(&args, command, argc, argv, &message)) {
        code = ht_usage(command->name, &message);
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
    int words = 1;
    const ht_command *command = ht_command_at(argc - 1, argv + 1, &words);
    if (command && words == 1 && argc < 4 && ht_command_group(first)) {
        code = ht_group(first, argc > 2 ? argv[2] : ""); /* `hither index`: its help, rather than a word too few */
    } else if (command) {
        code = run(command, argc - 1 - words, argv + 1 + words);
    } else if (ht_command_group(first)) {
        code = ht_group(first, argc > 2 ? argv[2] : "");
    } else if (!strcmp(first, "--help") || !strcmp(first, "-h")) {
        code = ht_print_help(ht_help_all);
    } else if (!strcmp(first, "--version") || !strcmp(first, "-V")) {
        code = ht_print_help(version);
    } else if (argc < 2) {
        ht_say("a command is wanted; \"hither --help\" lists them");
        code = HT_EXIT_USAGE;
    } else {
        code = ht_unknown_command(first);
    }
    return ht_out_finish(code);
}

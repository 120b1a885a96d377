/*
 * commands.h: the functions behind the table of commands, and the texts of help that belong to none of them. Each
 * returns the exit status. Main thread.
 */
#ifndef HT_CLI_COMMANDS_H
#define HT_CLI_COMMANDS_H

#include "args.h"

int ht_run_backup(const ht_args *args);
int ht_run_pack(const ht_args *args);
int ht_run_ttl(const ht_args *args);
int ht_run_expire(const ht_args *args);
int ht_run_compact(const ht_args *args);
int ht_run_reembed(const ht_args *args);
int ht_run_count(const ht_args *args);
int ht_run_create(const ht_args *args);
int ht_run_delete(const ht_args *args);
int ht_run_drop(const ht_args *args);
int ht_run_embed(const ht_args *args);
int ht_run_export(const ht_args *args);
int ht_run_facets(const ht_args *args);
int ht_run_get(const ht_args *args);
int ht_run_grep(const ht_args *args);
int ht_run_help(const ht_args *args);
int ht_run_import(const ht_args *args);
int ht_run_index(const ht_args *args);
int ht_run_index_build(const ht_args *args);
int ht_run_index_info(const ht_args *args);
int ht_run_index_search(const ht_args *args);
int ht_run_index_verify(const ht_args *args);
int ht_run_tune(const ht_args *args);
int ht_run_info(const ht_args *args);
int ht_run_knn(const ht_args *args);
int ht_run_list(const ht_args *args);
int ht_run_model_add(const ht_args *args);
int ht_run_model_check(const ht_args *args);
int ht_run_model_distill(const ht_args *args);
int ht_run_model_list(const ht_args *args);
int ht_run_purge(const ht_args *args);
int ht_run_schema(const ht_args *args);
int ht_run_recommend(const ht_args *args);
int ht_run_rename(const ht_args *args);
int ht_run_repair(const ht_args *args);
int ht_run_restore(const ht_args *args);
int ht_run_scan(const ht_args *args);
int ht_run_search(const ht_args *args);
int ht_run_top(const ht_args *args);
int ht_run_uniq(const ht_args *args);
int ht_run_verify(const ht_args *args);
int ht_run_watch(const ht_args *args);

/* Say what is wrong with the command line, and give the exit status 2. `command` is "" where none was recognised. */
int ht_usage(const char *command, const ht_buf *message);
int ht_unknown_command(const char *name);
/* `hither index ...` where what follows is none of the commands of that group: its help, or what is wrong. */
int ht_group(const char *name, const char *second);
int ht_print_help(void (*fill)(ht_buf *out));

typedef struct ht_man_section {
    const char *title, *text;
} ht_man_section;

extern const char ht_about_line[], ht_about[];
extern const ht_man_section ht_man_sections[];
extern const size_t ht_man_sections_count;

#endif

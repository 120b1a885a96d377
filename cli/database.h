/*
 * database.h: opening what the command line names, and ids as people type them. Main thread.
 */
#ifndef HT_CLI_DATABASE_H
#define HT_CLI_DATABASE_H

#include "args.h"
#include "base/json.h"
#include "base/strings.h"

typedef enum ht_open_how {
    HT_OPEN_READ,  /* must be there; works beside a writer */
    HT_OPEN_WRITE, /* must be there */
    HT_OPEN_MAKE   /* is made when missing */
} ht_open_how;

HT_NODISCARD hither_status ht_open_database(const char *path, ht_open_how how, hither_db **out, hither_error *err);

typedef enum ht_ids_are { HT_IDS_UNDECIDED, HT_IDS_INT, HT_IDS_TEXT } ht_ids_are;

/* What the command needs to know of a collection. */
typedef struct ht_facts {
    uint32_t dim;
    hither_metric metric;
    ht_ids_are ids;
    bool embeds; /* it has an embedder */
    char embedder[64];
    uint64_t count;
} ht_facts;

/* A database and one existing collection of it; both NULL unless OK. facts may be NULL. */
typedef struct ht_opened {
    hither_db *db;
    hither_collection *collection;
    ht_facts facts;
} ht_opened;
/* Whether a collection could be made so, of that name; tried where it leaves no trace. A database that is made for one
 * must not stay behind when the collection is refused. */
HT_NODISCARD hither_status ht_try_collection(const char *name, const hither_collection_options *options,
                                             hither_error *err);
HT_NODISCARD hither_status ht_open_both(const char *path, const char *name, ht_open_how how, ht_opened *out,
                                        hither_error *err);
void ht_close_both(ht_opened *opened);
HT_NODISCARD hither_status ht_read_facts(hither_collection *c, ht_facts *out, hither_error *err);

/* The JSON object of record i of group 0, the caller's (json_decref). */
HT_NODISCARD hither_status ht_metadata_object(const hither_result *result, size_t i, json_t **out, hither_error *err);

/* Prints that of record 0: a line a fact, or as it stands with --json. */
HT_NODISCARD hither_status ht_print_facts(const ht_args *args, const hither_result *result, hither_error *err);

/* A line for each finding of verify or repair. */
void ht_print_findings(const hither_result *report);

/* Metrics, types and kinds of an index in the order of their options' words; 0 where they were not given. */
hither_metric ht_metric_option(const ht_args *args);
hither_dtype ht_dtype_option(const ht_args *args);
hither_kind ht_kind_option(const ht_args *args);
const char *ht_metric_word(hither_metric metric);

/* A column of ids under construction, of one kind. */
typedef struct ht_id_list {
    bool ints;
    ht_buf numbers;
    ht_column texts;
} ht_id_list;
void ht_id_list_init(ht_id_list *list, bool ints);
void ht_id_list_clear(ht_id_list *list);
void ht_id_list_add(ht_id_list *list, int64_t number, const char *text, size_t bytes);
HT_NODISCARD hither_status ht_id_list_check(const ht_id_list *list, hither_error *err);
hither_ids ht_id_list_view(const ht_id_list *list);

/* Adds an id as typed. False when no row of such a collection can have it. */
bool ht_id_list_type(ht_id_list *list, const ht_facts *facts, const char *typed);

#endif

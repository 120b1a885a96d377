/*
 * args.h: the table of commands and their options. One table (commands.c) feeds parsing, `--help` and the man page, so
 * that what is documented is what is accepted: a new command or option is a row there and a function that runs it.
 *
 * Everything here runs on the main thread. The texts an ht_args points to are argv's and the table's.
 */
#ifndef HT_CLI_ARGS_H
#define HT_CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* What the command ends with. 128 + signal number when a signal ended it. */
enum { HT_EXIT_OK = 0, HT_EXIT_ERROR = 1, HT_EXIT_USAGE = 2, HT_EXIT_DAMAGE = 3 };

typedef enum ht_opt {
    HT_OPT_AFTER,
    HT_OPT_AGE,
    HT_OPT_ALARMS,
    HT_OPT_ARCHIVE,
    HT_OPT_BATCH,
    HT_OPT_BESIDE,
    HT_OPT_CANDIDATES,
    HT_OPT_COLOR,
    HT_OPT_CONTEXT,
    HT_OPT_DESCENDING,
    HT_OPT_DIM,
    HT_OPT_DIVERSITY,
    HT_OPT_DTYPE,
    HT_OPT_EF,
    HT_OPT_EVERY,
    HT_OPT_EXPLAIN,
    HT_OPT_FAST,
    HT_OPT_FOLLOW,
    HT_OPT_FUSION,
    HT_OPT_FIELD,
    HT_OPT_FIELDS,
    HT_OPT_FORMAT,
    HT_OPT_FROM,
    HT_OPT_TABLE,
    HT_OPT_GROUP_BY,
    HT_OPT_GROUP_SIZE,
    HT_OPT_HELP,
    HT_OPT_HYBRID,
    HT_OPT_ID,
    HT_OPT_IDS,
    HT_OPT_ID_TYPE,
    HT_OPT_JSON,
    HT_OPT_K,
    HT_OPT_KEYWORD,
    HT_OPT_KIND,
    HT_OPT_LABELS,
    HT_OPT_LIMIT,
    HT_OPT_MAN,
    HT_OPT_MAX_DISTANCE,
    HT_OPT_METRIC,
    HT_OPT_MODE,
    HT_OPT_MODEL,
    HT_OPT_ENGINE,
    HT_OPT_ONNXRUNTIME,
    HT_OPT_NEAR,
    HT_OPT_NPROBE,
    HT_OPT_NUMBER,
    HT_OPT_OFFSET,
    HT_OPT_ON_ALARM,
    HT_OPT_ORDER_BY,
    HT_OPT_OUTPUT,
    HT_OPT_PAGE,
    HT_OPT_QUERIES,
    HT_OPT_RADIUS,
    HT_OPT_RARE,
    HT_OPT_RATE,
    HT_OPT_RECALL,
    HT_OPT_REMOVE,
    HT_OPT_RULES,
    HT_OPT_SCHEMA,
    HT_OPT_STATE,
    HT_OPT_STRATEGY,
    HT_OPT_TEXT,
    HT_OPT_THRESHOLD,
    HT_OPT_UNLIKE,
    HT_OPT_VECTOR,
    HT_OPT_VECTORS,
    HT_OPT_VECTOR_WEIGHT,
    HT_OPT_VIEW,
    HT_OPT_WARMUP,
    HT_OPT_WHERE,
    HT_OPT_WINDOW,
    HT_OPT_WORDS,
    HT_OPT_COUNT
} ht_opt;

typedef enum ht_opt_kind {
    HT_KIND_FLAG,
    HT_KIND_TEXT,   /* any bytes */
    HT_KIND_NUMBER, /* a whole number from min to max */
    HT_KIND_REAL,   /* a finite number */
    HT_KIND_CHOICE  /* one of the words of `value`, which are separated by '|' */
} ht_opt_kind;

typedef struct ht_option {
    ht_opt key;
    const char *name; /* long name without dashes, or NULL */
    char letter;      /* short name, or 0 */
    ht_opt_kind kind;
    const char *value; /* what stands for the value in help; for a choice the words */
    const char *help;
    uint64_t min, max; /* of a number */
} ht_option;

typedef struct ht_args ht_args;

typedef struct ht_command {
    const char *name;         /* one word, or two: "index build" */
    const char *operands;     /* as in the synopsis, e.g. "DB NAME FILE|-" */
    size_t least, most;       /* operands; most may be SIZE_MAX */
    const char *summary;      /* one line, no full stop */
    const char *description;  /* paragraphs separated by an empty line */
    const char *examples;     /* lines */
    const ht_option *options; /* ends with a row without name and letter; --help is everywhere */
    int (*run)(const ht_args *args);
} ht_command;

struct ht_args {
    const ht_command *command;
    char *const *operands;
    size_t count;
    struct {
        bool given;
        const char *text;
        uint64_t number;
        double real;
        int choice; /* index of the word */
    } values[HT_OPT_COUNT];
    char **own; /* the array behind operands */
};

extern const ht_command ht_commands[];
extern const size_t ht_commands_count;
extern const ht_option ht_help_option;
const ht_command *ht_command_find(const char *name);
/* The command that argv[0 ... argc) begins with, and how many words its name has; NULL if there is none. */
const ht_command *ht_command_at(int argc, char *const *argv, int *words);
/* Whether `name` is the first word of commands of two words. */
bool ht_command_group(const char *name);

/* Reads argv[0 ... argc), which begins after the command's name. False when something is wrong: *message says what (to
 * be printed after "hither: NAME: "). ht_args_free in either case. */
bool ht_args_parse(ht_args *args, const ht_command *command, int argc, char **argv, ht_buf *message);
void ht_args_free(ht_args *args);

/* The value of a choice or text option, or `otherwise` where it was not given. */
const char *ht_args_text(const ht_args *args, ht_opt key, const char *otherwise);
uint64_t ht_args_number(const ht_args *args, ht_opt key, uint64_t otherwise);
double ht_args_real(const ht_args *args, ht_opt key, double otherwise);
static inline bool ht_args_has(const ht_args *args, ht_opt key) { return args->values[key].given; }

/* The table as text: all commands, one command, those of a group, and the man page (roff). */
void ht_help_all(ht_buf *out);
void ht_help_command(ht_buf *out, const ht_command *command);
void ht_help_group(ht_buf *out, const char *name);
void ht_help_man(ht_buf *out);

/* The word of `words` (count of them, NULL entries passed over) that `typed` was most likely meant to be, or NULL. */
const char *ht_nearest_word(const char *typed, const char *const *words, size_t count);

#endif

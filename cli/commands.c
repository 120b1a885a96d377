/*
 * commands.c: the table of commands, the one place where their names, operands, options and help are written down.
 * Add a row here and the function that runs it; parsing, --help, the man page and their tests follow.
 */
#include "commands.h"

#define END_OF_OPTIONS                                                                                                 \
    { 0, NULL, 0, HT_KIND_FLAG, NULL, NULL, 0, 0 }
#define OPTION_METRIC(text)                                                                                            \
    { HT_OPT_METRIC, "metric", 'm', HT_KIND_CHOICE, "cosine|dot|l2|l1", text, 0, 0 }
#define OPTION_K(text)                                                                                                 \
    { HT_OPT_K, "k", 'k', HT_KIND_NUMBER, "N", text, 1, HITHER_MAX_K }
#define OPTION_JSON(text)                                                                                              \
    { HT_OPT_JSON, "json", 'j', HT_KIND_FLAG, NULL, text, 0, 0 }
#define OPTION_VECTORS(text)                                                                                           \
    { HT_OPT_VECTORS, "vectors", 0, HT_KIND_FLAG, NULL, text, 0, 0 }

#define OPTION_WHERE(text)                                                                                             \
    { HT_OPT_WHERE, "where", 0, HT_KIND_TEXT, "JSON", text, 0, 0 }

#define OPTION_MODEL(text)                                                                                             \
    {HT_OPT_MODEL, "model", 0, HT_KIND_TEXT, "DIR", text, 0, 0},                                                       \
        {HT_OPT_ENGINE,                                                                                                \
         "engine",                                                                                                     \
         0,                                                                                                            \
         HT_KIND_CHOICE,                                                                                               \
         "auto|own|onnxruntime",                                                                                       \
         "what runs the model: hither's own encoder, ONNX Runtime, or the first that can (default)",                   \
         0,                                                                                                            \
         0},                                                                                                           \
    {                                                                                                                  \
        HT_OPT_ONNXRUNTIME, "onnxruntime", 0, HT_KIND_TEXT, "FILE",                                                    \
            "ONNX Runtime's libonnxruntime.so, or its folder, if it is not found (or HITHER_ONNXRUNTIME)", 0, 0        \
    }

static const ht_option no_options[] = {END_OF_OPTIONS};

static const ht_option reembed_options[] = {OPTION_MODEL("the folder of the sentence model to move to"),
                                            END_OF_OPTIONS};

static const ht_option create_options[] = {
    {HT_OPT_DIM, "dim", 'd', HT_KIND_NUMBER, "N",
     "dimensions of its vectors; without it the collection is for texts and embeds them with the built-in embedder", 1,
     HITHER_MAX_DIM},
    OPTION_MODEL("embed its texts with the sentence model in this folder"),
    OPTION_METRIC("what near means (default cosine)"),
    {HT_OPT_FIELDS, "fields", 0, HT_KIND_TEXT, "LIST",
     "vector fields that rows may have beside their own vectors: NAME:DIM:METRIC, NAME:DIM:multi:MOST for several "
     "vectors, NAME:sparse:MOST for entries; with commas between",
     0, 0},
    {HT_OPT_DTYPE, "dtype", 0, HT_KIND_CHOICE, "f32", "how a dimension is stored (default f32)", 0, 0},
    {HT_OPT_SCHEMA, "schema", 0, HT_KIND_TEXT, "JSON",
     "what rows must be like, as in {\"fields\": {\"year\": \"int\"}}; or the name of a file with it", 0, 0},
    END_OF_OPTIONS};

static const ht_option embed_options[] = {
    OPTION_MODEL("the folder of a sentence model, instead of the built-in embedder"), END_OF_OPTIONS};

static const ht_option distill_options[] = {{HT_OPT_DIM, "dim", 'd', HT_KIND_NUMBER, "N",
                                             "dimensions (default 256, or the encoder's where it has less)", 1,
                                             HITHER_MAX_DIM},
                                            END_OF_OPTIONS};

static const ht_option json_options[] = {OPTION_JSON("print JSON, one object a line"), END_OF_OPTIONS};

static const ht_option verify_options[] = {
    {HT_OPT_FAST, "fast", 0, HT_KIND_FLAG, NULL,
     "leave the rows out: the log, the catalog's pages, headers and sizes of segments; damaged vectors stay unnoticed",
     0, 0},
    END_OF_OPTIONS};

static const ht_option import_options[] = {
    {HT_OPT_FORMAT, "format", 'f', HT_KIND_CHOICE, "text|jsonl|csv|npy|parquet",
     "what FILE holds (default: by its extension; text if that is unknown or there is none)", 0, 0},
    {HT_OPT_FROM, "from", 0, HT_KIND_CHOICE, "chroma|faiss|hnswlib|lancedb|nseekfs|parquet|srvdb",
     "FILE is what this engine wrote, or its folder: the Python package reads it, and --metric alone goes with it", 0,
     0},
    {HT_OPT_TABLE, "table", 0, HT_KIND_TEXT, "NAME",
     "--from: which table or collection of it, where there are several; the space of hnswlib's file", 0, 0},
    {HT_OPT_ID, "id", 0, HT_KIND_TEXT, "FIELD",
     "field with the id (default \"id\"; where rows have none, the line number in JSONL and the row number in CSV)", 0,
     0},
    {HT_OPT_TEXT, "text", 0, HT_KIND_TEXT, "FIELD", "field with the text (default \"document\", else \"text\")", 0, 0},
    {HT_OPT_VECTOR, "vector", 0, HT_KIND_TEXT, "FIELD",
     "field with the vector, an array of numbers (default \"vector\", else \"embedding\")", 0, 0},
    {HT_OPT_IDS, "ids", 0, HT_KIND_TEXT, "IDFILE", "npy: one id a line, for row 0, 1, ... (default: the row number)", 0,
     0},
    {HT_OPT_ID_TYPE, "id-type", 0, HT_KIND_CHOICE, "int|text",
     "make the ids integers or strings (default: what the collection has; for a new one integers where all ids of the "
     "first batch are)",
     0, 0},
    OPTION_MODEL("embed texts with the sentence model in this folder"),
    OPTION_METRIC("metric of a collection made by this import (default cosine)"),
    {HT_OPT_FIELDS, "fields", 0, HT_KIND_TEXT, "LIST",
     "jsonl: vector fields of a collection made by this import, as create has them (default: those it has)", 0, 0},
    {HT_OPT_MODE, "mode", 0, HT_KIND_CHOICE, "upsert|insert|update",
     "upsert (default): rows whose id is known are replaced; insert: such a row is an error; update: only parts of "
     "known "
     "rows change, and an unknown id is an error",
     0, 0},
    {HT_OPT_REMOVE, "remove", 0, HT_KIND_TEXT, "KEY",
     "update: take this key, or those of a JSON array, out of the metadata of all the rows first", 0, 0},
    {HT_OPT_BATCH, "batch", 0, HT_KIND_NUMBER, "N", "rows a transaction (default 1000)", 1, 1000000},
    END_OF_OPTIONS};

static const ht_option search_options[] = {
    OPTION_K("how many rows to find (default 10)"),
    {HT_OPT_VECTOR, "vector", 0, HT_KIND_TEXT, "FILE",
     "search by the vectors in FILE: an .npy array, or a JSON array of numbers a line; of a sparse field "
     "{\"indices\": [...], \"values\": [...]} a line; - is standard input",
     0, 0},
    {HT_OPT_ID, "id", 0, HT_KIND_TEXT, "ID", "search by the vector of the row with this id", 0, 0},
    {HT_OPT_FIELD, "field", 0, HT_KIND_TEXT, "NAME",
     "search this vector field instead of the rows' own vectors; of one with several vectors a row, FILE is one query",
     0, 0},
    {HT_OPT_BESIDE, "beside", 0, HT_KIND_TEXT, "NAME=FILE",
     "ask this vector field too, by the queries in FILE, as many as there are others, and make one order of all", 0, 0},
    {HT_OPT_KEYWORD, "keyword", 0, HT_KIND_FLAG, NULL,
     "search by the words of TEXT instead of a vector: words, \"phrases\", begin*, +must, -not", 0, 0},
    OPTION_MODEL("the folder of the sentence model that the collection was made with"),
    {HT_OPT_HYBRID, "hybrid", 0, HT_KIND_FLAG, NULL, "search by words and by vectors, and make one order of both", 0,
     0},
    {HT_OPT_WORDS, "words", 0, HT_KIND_TEXT, "WORDS", "the words of --hybrid, where they are not TEXT", 0, 0},
    {HT_OPT_FUSION, "fusion", 0, HT_KIND_CHOICE, "rrf|weighted",
     "order the rows of --hybrid and --beside by their ranks in each, or by distances and scores (default rrf)", 0, 0},
    {HT_OPT_VECTOR_WEIGHT, "vector-weight", 0, HT_KIND_REAL, "X",
     "the share of the vectors in --hybrid, between 0 and 1 (default 0.5)", 0, 0},
    {HT_OPT_CANDIDATES, "candidates", 0, HT_KIND_NUMBER, "N",
     "rows that --diversity chooses from, or that each part of --hybrid and --beside brings (default 4 k, at least 64)",
     1, HITHER_MAX_K},
    OPTION_WHERE("find only rows that match this filter"),
    {HT_OPT_MAX_DISTANCE, "max-distance", 0, HT_KIND_REAL, "X", "find only rows at a distance of at most X", 0, 0},
    {HT_OPT_RADIUS, "radius", 0, HT_KIND_REAL, "X", "instead of the k nearest, all rows at a distance of at most X", 0,
     0},
    {HT_OPT_GROUP_BY, "group-by", 0, HT_KIND_TEXT, "FIELD",
     "find the k best groups of rows with the same value of this metadata field, and print the best of each", 0, 0},
    {HT_OPT_GROUP_SIZE, "group-size", 0, HT_KIND_NUMBER, "N", "print the N best rows of each group (default 1)", 1,
     HITHER_MAX_K},
    {HT_OPT_DIVERSITY, "diversity", 0, HT_KIND_REAL, "X",
     "of more rows than k choose k that are near and unlike one another; X from 0 (near) to 1 (unlike)", 0, 0},
    {HT_OPT_RECALL, "recall", 0, HT_KIND_REAL, "R",
     "of a collection with an index: the share of the true answers that is enough (default 0.95; 1 is exact)", 0, 0},
    {HT_OPT_EF, "ef", 0, HT_KIND_NUMBER, "N", "of a graph, in the place of a recall: candidates kept on the walk", 1,
     65536},
    {HT_OPT_NPROBE, "nprobe", 0, HT_KIND_NUMBER, "N", "of lists, in the place of a recall: how many to look into", 1,
     65536},
    {HT_OPT_EXPLAIN, "explain", 0, HT_KIND_FLAG, NULL, "print what the search did, stage by stage", 0, 0},
    OPTION_VECTORS("with --json: print the vectors of the hits too, and what they have in vector fields"),
    OPTION_JSON("print one JSON object a hit"),
    END_OF_OPTIONS};

static const ht_option recommend_options[] = {
    OPTION_K("how many rows to find (default 10)"),
    {HT_OPT_UNLIKE, "unlike", 0, HT_KIND_TEXT, "ID", "rows unlike this one, or unlike those of a JSON array of ids", 0,
     0},
    {HT_OPT_STRATEGY, "strategy", 0, HT_KIND_CHOICE, "average|best",
     "near the mean of the examples, or near some example (default average)", 0, 0},
    {HT_OPT_FIELD, "field", 0, HT_KIND_TEXT, "NAME", "go by this vector field instead of the rows' own vectors", 0, 0},
    OPTION_WHERE("find only rows that match this filter"),
    {HT_OPT_MAX_DISTANCE, "max-distance", 0, HT_KIND_REAL, "X", "find only rows at a distance of at most X", 0, 0},
    {HT_OPT_EXPLAIN, "explain", 0, HT_KIND_FLAG, NULL, "print what the search did, stage by stage", 0, 0},
    OPTION_VECTORS("with --json: print the vectors of the hits too, and what they have in vector fields"),
    OPTION_JSON("print one JSON object a hit"),
    END_OF_OPTIONS};

static const ht_option get_options[] = {
    OPTION_WHERE("print only rows that match this filter"),
    OPTION_VECTORS("print the vectors too, and what the rows have in vector fields"),
    OPTION_JSON("print one JSON object a row"), END_OF_OPTIONS};

static const ht_option delete_options[] = {OPTION_WHERE("delete only rows that match this filter"), END_OF_OPTIONS};

static const ht_option count_options[] = {OPTION_WHERE("count only rows that match this filter"), END_OF_OPTIONS};

static const ht_option scan_options[] = {
    {HT_OPT_LIMIT, "limit", 'n', HT_KIND_NUMBER, "N", "stop after N rows", 0, UINT64_MAX},
    OPTION_WHERE("print only rows that match this filter"),
    {HT_OPT_ORDER_BY, "order-by", 0, HT_KIND_TEXT, "FIELD",
     "in order of this metadata field: false, true, numbers, strings; rows without any of these last", 0, 0},
    {HT_OPT_DESCENDING, "descending", 0, HT_KIND_FLAG, NULL, "largest first; rows without a value stay last", 0, 0},
    {HT_OPT_OFFSET, "offset", 0, HT_KIND_NUMBER, "N", "pass over the first N rows", 0, UINT64_MAX},
    {HT_OPT_PAGE, "page", 0, HT_KIND_NUMBER, "N", "print a page of N rows, and how to go on from there", 1,
     HITHER_MAX_PAGE},
    {HT_OPT_AFTER, "after", 0, HT_KIND_TEXT, "TOKEN", "go on behind the page that gave this token", 0, 0},
    OPTION_VECTORS("print the vectors too, and what the rows have in vector fields"),
    OPTION_JSON("print one JSON object a row"),
    END_OF_OPTIONS};

static const ht_option facets_options[] = {
    {HT_OPT_LIMIT, "limit", 'n', HT_KIND_NUMBER, "N", "print at most N values (default 100)", 1, UINT32_MAX},
    OPTION_WHERE("count only rows that match this filter"),
    OPTION_JSON("print one JSON object a value"),
    END_OF_OPTIONS};

static const ht_option export_options[] = {
    {HT_OPT_OUTPUT, "output", 'o', HT_KIND_TEXT, "FILE",
     "write to FILE, whole or not at all (default: standard output)", 0, 0},
    {HT_OPT_FORMAT, "format", 'f', HT_KIND_CHOICE, "jsonl|csv|npy", "format (default: by FILE's extension, else jsonl)",
     0, 0},
    OPTION_WHERE("write only rows that match this filter"),
    OPTION_VECTORS("jsonl and csv: write the vectors too; jsonl: and what rows have in vector fields"),
    {HT_OPT_IDS, "ids", 0, HT_KIND_TEXT, "IDFILE", "npy: write the ids to IDFILE, one a line", 0, 0},
    {HT_OPT_ID, "id", 0, HT_KIND_TEXT, "FIELD", "name of the id's field (default \"id\")", 0, 0},
    {HT_OPT_TEXT, "text", 0, HT_KIND_TEXT, "FIELD", "name of the document's field (default \"document\")", 0, 0},
    {HT_OPT_VECTOR, "vector", 0, HT_KIND_TEXT, "FIELD", "name of the vector's field (default \"vector\")", 0, 0},
    END_OF_OPTIONS};

static const ht_option watch_options[] = {
    OPTION_MODEL("tell what is near by the sentence model in this folder"),
    {HT_OPT_WINDOW, "window", 'w', HT_KIND_NUMBER, "N", "lines remembered (default 16384)", 1, 16777216},
    {HT_OPT_WARMUP, "warmup", 0, HT_KIND_NUMBER, "N", "lines learned before the first alarm (default 200)", 0,
     UINT64_MAX},
    {HT_OPT_RARE, "rare", 0, HT_KIND_NUMBER, "N",
     "call a form rare while the window holds at most N lines of it; 0: only new forms (default 1)", 0, 16777216},
    {HT_OPT_AGE, "age", 0, HT_KIND_TEXT, "TIME",
     "forget lines older than this too: 90s, 10m, 1h30m; by the lines' own times where they have them", 0, 0},
    {HT_OPT_RATE, "rate", 'r', HT_KIND_TEXT, "SHARE",
     "share of the lines to print, about, and one line a form: 0.1% (default) or 0.001", 0, 0},
    {HT_OPT_ALARMS, "alarms", 0, HT_KIND_TEXT, "N/day",
     "instead of a share, print about N lines a day (or 2/hour, 1/week): by the lines' own times where they have them",
     0, 0},
    {HT_OPT_THRESHOLD, "threshold", 't', HT_KIND_REAL, "X",
     "instead of a share, print every new or rare line with a score of at least X", 0, 0},
    {HT_OPT_VIEW, "view", 0, HT_KIND_FLAG, NULL,
     "show groups of lines, new lines and a search on the whole terminal, and follow the FILEs; q quits", 0, 0},
    {HT_OPT_QUERIES, "queries", 0, HT_KIND_TEXT, "FILE",
     "standing queries, one a line: also print the first line of each form that is near one of them; --view adds to "
     "FILE",
     0, 0},
    {HT_OPT_RULES, "rules", 0, HT_KIND_TEXT, "FILE",
     "mask what the rules in FILE say too: one a line, a name and a pattern", 0, 0},
    {HT_OPT_STATE, "state", 0, HT_KIND_TEXT, "FILE",
     "keep what was learned in FILE, at the end and once a minute, and go on from there the next time", 0, 0},
    {HT_OPT_ON_ALARM, "on-alarm", 0, HT_KIND_TEXT, "COMMAND",
     "run COMMAND by the shell for each alarm, with HITHER_LINE, HITHER_SCORE and HITHER_REASON set", 0, 0},
    {HT_OPT_ARCHIVE, "archive", 0, HT_KIND_TEXT, "DB/NAME",
     "keep all lines as rows of a collection, which \"hither search DB NAME\" can search meanwhile", 0, 0},
    {HT_OPT_FOLLOW, "follow", 'f', HT_KIND_FLAG, NULL,
     "read all FILEs at once and go on as they grow, are moved away and made anew", 0, 0},
    {HT_OPT_FORMAT, "format", 0, HT_KIND_CHOICE, "auto|text",
     "auto (default): of journalctl -o json's lines, only the MESSAGE; text: all lines as they are", 0, 0},
    OPTION_JSON("print one JSON object an alarm: score, reason, line, nearest, added, removed, count, number, rarity, "
                "distance, "
                "severity, level, time, clock, file; query, similarity"),
    END_OF_OPTIONS};

static const ht_option grep_options[] = {
    OPTION_MODEL("tell what is near by the sentence model in this folder"),
    {HT_OPT_THRESHOLD, "threshold", 't', HT_KIND_REAL, "X",
     "print lines with a part that is this similar to PATTERN (1: equal; default 0.5)", 0, 0},
    {HT_OPT_K, "k", 'k', HT_KIND_NUMBER, "N", "print only the N nearest lines, nearest first, at the end", 1, 100000},
    {HT_OPT_NUMBER, "line-number", 'n', HT_KIND_FLAG, NULL, "print the line's number before it", 0, 0},
    {HT_OPT_CONTEXT, "context", 'C', HT_KIND_NUMBER, "N",
     "print N lines before and after each line found (not with -k)", 0, 10000},
    {HT_OPT_COLOR, "color", 0, HT_KIND_CHOICE, "auto|always|never", "colour the part that is near (default auto)", 0,
     0},
    OPTION_JSON("print one JSON object a line: similarity, file, number, line, part"),
    END_OF_OPTIONS};

static const ht_option uniq_options[] = {
    OPTION_MODEL("tell what is near by the sentence model in this folder"),
    {HT_OPT_NEAR, "near", 0, HT_KIND_FLAG, NULL,
     "group lines that are near-equal; without it only lines that differ in numbers, times, addresses and the like", 0,
     0},
    {HT_OPT_THRESHOLD, "threshold", 't', HT_KIND_REAL, "X",
     "how similar near-equal lines are (1: equal; default 0.7 with --near)", 0, 0},
    OPTION_JSON("print one JSON object a group: count, number (of its first line), line"),
    END_OF_OPTIONS};

static const ht_option top_options[] = {
    OPTION_MODEL("tell what is near by the sentence model in this folder"),
    {HT_OPT_EVERY, "every", 0, HT_KIND_NUMBER, "SECONDS", "show the groups anew after so long (default 2)", 1, 3600},
    {HT_OPT_LIMIT, "limit", 'n', HT_KIND_NUMBER, "N", "show N groups (default: what fits; 10 where it is no terminal)",
     1, 200},
    {HT_OPT_FOLLOW, "follow", 'f', HT_KIND_FLAG, NULL,
     "read all FILEs at once and go on as they grow, are moved away and made anew", 0, 0},
    END_OF_OPTIONS};

#define OPTION_ROW_METRIC(text)                                                                                        \
    { HT_OPT_METRIC, "metric", 'm', HT_KIND_CHOICE, "cosine|dot|l2|l1|hamming", text, 0, 0 }
#define OPTION_RADIUS                                                                                                  \
    {                                                                                                                  \
        HT_OPT_RADIUS, "radius", 0, HT_KIND_REAL, "X",                                                                 \
            "instead of the k nearest, all rows at a distance of at most X", 0, 0                                      \
    }
#define OPTION_RECALL                                                                                                  \
    {                                                                                                                  \
        HT_OPT_RECALL, "recall", 0, HT_KIND_REAL, "R",                                                                 \
            "the share of the true answers that is enough (default 1: exact)", 0, 0                                    \
    }

static const ht_option knn_options[] = {
    OPTION_K("how many rows to find (default 10)"),
    OPTION_ROW_METRIC("what near means (default cosine, of bits hamming)"),
    OPTION_RADIUS,
    OPTION_RECALL,
    {HT_OPT_DTYPE, "dtype", 0, HT_KIND_CHOICE, "f32|f64|f16|bf16|i8|b1",
     "bf16: read uint16 as the upper halves of float32; b1: read uint8 as packed bits; others are what the file says",
     0, 0},
    OPTION_JSON("print one JSON object a query"),
    END_OF_OPTIONS};

static const ht_option index_options[] = {
    {HT_OPT_KIND, "kind", 0, HT_KIND_CHOICE, "exact|ivf|hnsw|auto",
     "what it is (default hnsw: a graph; ivf: lists, built faster and smaller); auto: picks; exact: none", 0, 0},
    END_OF_OPTIONS};

static const ht_option index_build_options[] = {
    {HT_OPT_OUTPUT, "output", 'o', HT_KIND_TEXT, "OUT", "the file to write, whole or not at all; wanted", 0, 0},
    OPTION_ROW_METRIC("what near means where a search does not say (default cosine, of bits hamming)"),
    {HT_OPT_DTYPE, "dtype", 0, HT_KIND_CHOICE, "f32|f64|f16|bf16|i8|b1",
     "how a number is stored (default f32; of int8 i8)", 0, 0},
    {HT_OPT_LABELS, "labels", 0, HT_KIND_TEXT, "FILE",
     "one label a line, a whole number from 0 on, for row 0, 1, ... (default: the row number)", 0, 0},
    {HT_OPT_KIND, "kind", 0, HT_KIND_CHOICE, "exact|ivf|hnsw|auto",
     "how it is searched (default exact), once there are a few thousand rows; hnsw: by a graph; ivf: by lists; auto: "
     "picks",
     0, 0},
    END_OF_OPTIONS};

static const ht_option index_search_options[] = {
    OPTION_K("how many rows to find (default 10)"),
    OPTION_ROW_METRIC("another metric than the index's own"),
    OPTION_RADIUS,
    {HT_OPT_RECALL, "recall", 0, HT_KIND_REAL, "R",
     "the share of the true answers that is enough (default 1: exact; of a graph or lists 0.95)", 0, 0},
    {HT_OPT_EF, "ef", 0, HT_KIND_NUMBER, "N", "of a graph, in the place of a recall: candidates kept on the walk", 1,
     65536},
    {HT_OPT_NPROBE, "nprobe", 0, HT_KIND_NUMBER, "N", "of lists, in the place of a recall: how many to look into", 1,
     65536},
    OPTION_JSON("print one JSON object a query"),
    {HT_OPT_EXPLAIN, "explain", 0, HT_KIND_FLAG, NULL, "print what the search did, for each 256 queries", 0, 0},
    END_OF_OPTIONS};

static const ht_option help_options[] = {
    {HT_OPT_MAN, "man", 0, HT_KIND_FLAG, NULL, "print the man page, as roff", 0, 0}, END_OF_OPTIONS};

const ht_command ht_commands[] = {
    {"import", "DB NAME FILE|-", 3, 3, "read rows from a file into a collection",
     "Reads rows from FILE, or from standard input, into collection NAME of the database folder DB. Both are made when "
     "they are missing. Rows whose id is known are replaced. Rows are written in batches; each is durable, and visible "
     "to others, as a whole. On an error in the input the batches before it stay, and the message says how many rows "
     "that is.\n\n"
     "With --mode update a row needs no text and no vector: what it does not have stays as it is, its metadata is laid "
     "over that of the row, key by key, and a new text is embedded anew.\n\n"
     "text: every line is a document, with the line number as its id. jsonl: every line is a JSON object; fields other "
     "than id, text and vector become the row's metadata as they stand, but \"fields\", where there are vector fields. "
     "csv: RFC 4180 with a header line; other "
     "columns "
     "become metadata, numbers where the cell is an unquoted number, left out where it is empty and unquoted, strings "
     "otherwise. npy: a two-dimensional array of float16, float32 or float64. parquet: by --from "
     "parquet.\n\n"
     "--from hands the work to the Python package (HITHER_PYTHON, else python3), which takes the package of the engine "
     "that wrote FILE.\n\n"
     "A row with a vector is stored with that vector; a row with only a text is embedded by the collection's embedder. "
     "On a terminal the progress is shown; in a pipe import is silent.",
     "hither import notes.hither notes lines.txt\n"
     "hither import notes.hither glosses glosses.jsonl --text gloss --id lemma\n"
     "hither import notes.hither images vectors.npy --ids names.txt --metric l2\n"
     "zcat dump.jsonl.gz | hither import notes.hither dump - --format jsonl\n"
     "hither import notes.hither old --from chroma chroma_folder",
     import_options, ht_run_import},
    {"search", "DB NAME [TEXT]", 2, 3, "find the rows nearest to a text, a vector or a row",
     "Prints the rows of collection NAME nearest to TEXT, nearest first: rank, similarity (cosine and dot: larger is "
     "nearer) or distance (l2 and l1: smaller is nearer), id, document, and metadata. The answer is exact.\n\n"
     "With --json a hit is {\"query\", \"rank\", \"id\", \"distance\", \"metadata\", \"document\"}; query is the text, "
     "the "
     "id, or the number of the vector counted from 0; distance is smaller for nearer rows under every metric. "
     "With --keyword and --hybrid there is a \"score\" too, larger for better rows, which people see instead.",
     "hither search notes.hither notes \"a bird of prey\" -k 5\n"
     "hither search notes.hither notes --id 17 --json\n"
     "hither search notes.hither notes hawk --where '{\"year\": {\"$lt\": 2000}}' --explain\n"
     "hither search notes.hither notes hawk --group-by author.name -k 3\n"
     "hither search notes.hither notes '\"bird of prey\" hunt* -owl' --keyword\n"
     "hither search notes.hither notes \"a bird of prey\" --hybrid\n"
     "hither search notes.hither images --vector queries.npy",
     search_options, ht_run_search},
    {"recommend", "DB NAME [ID...]", 2, SIZE_MAX, "find rows like some rows and unlike others",
     "Prints the rows of collection NAME that are like those with the IDs and unlike those of --unlike, best first, as "
     "search does. The examples are not among them.",
     "hither recommend notes.hither notes 17 23 --unlike 4", recommend_options, ht_run_recommend},
    {"get", "DB NAME ID...", 3, SIZE_MAX, "print rows by id",
     "Prints the rows with these ids, in the order asked. Ids that are not there are named on standard error, and the "
     "exit status is 1. An id that begins with a dash stands after --.",
     "hither get notes.hither notes 17 18\nhither get notes.hither glosses hawk --json", get_options, ht_run_get},
    {"delete", "DB NAME [ID...]", 2, SIZE_MAX, "delete rows by id or by filter",
     "Deletes the rows with these ids, in one transaction, and says how many there were. Unknown ids are passed over. "
     "With --where, only rows that match are deleted: those among the ids, or, without ids, all of them.",
     "hither delete notes.hither notes 17 18\n"
     "hither delete notes.hither notes --where '{\"lang\": \"de\"}'",
     delete_options, ht_run_delete},
    {"count", "DB NAME", 2, 2, "print the number of rows",
     "Prints the number of rows of collection NAME, or of those that match a filter.",
     "hither count notes.hither notes --where '{\"stars\": {\"$gte\": 3}}'", count_options, ht_run_count},
    {"scan", "DB NAME", 2, 2, "print rows in order of writing",
     "Prints the rows of collection NAME in the order they were written, or in that of a field. With --page a token "
     "tells how to go on (on standard error; with --json as a last line {\"next\"}): the pages of one listing show the "
     "rows as they were at its first page, whatever is written meanwhile.",
     "hither scan notes.hither notes --limit 3\n"
     "hither scan notes.hither notes --order-by year --descending --page 20",
     scan_options, ht_run_scan},
    {"facets", "DB NAME FIELD", 3, 3, "count the values of a metadata field",
     "Prints how many rows of collection NAME, or of those that match a filter, have which value of FIELD, most "
     "frequent "
     "first. Values are strings, numbers, true and false; a row with an array counts once for each of those in it.\n\n"
     "With --json a value is {\"value\", \"count\"}.",
     "hither facets notes.hither notes lang\n"
     "hither facets notes.hither notes author.name --where '{\"year\": {\"$gte\": 2000}}' --limit 10",
     facets_options, ht_run_facets},
    {"export", "DB NAME", 2, 2, "write a collection to a file",
     "Writes all rows of collection NAME, or those that match a filter. What is written, import reads back: jsonl with "
     "--vectors is complete; csv "
     "keeps what fits a table (texts and numbers; other metadata values as JSON text); npy holds the vectors, and "
     "--ids the ids.\n\n"
     "jsonl: the metadata's fields stand beside \"id\", \"document\" and \"vector\"; where one has such a name itself, "
     "choose another name by --id, --text or --vector, and give import the same. With --vectors what a row has in "
     "vector fields stands in \"fields\"; import takes it where the collection has these fields (create --fields, or "
     "import --fields). csv and npy leave vector fields out.",
     "hither export notes.hither notes > notes.jsonl\n"
     "hither export notes.hither notes -o notes.csv\n"
     "hither export notes.hither notes -o notes.npy --ids names.txt",
     export_options, ht_run_export},
    {"create", "DB NAME", 2, 2, "make an empty collection",
     "Makes collection NAME in the database folder DB, and the folder when it is missing. import does this too.",
     "hither create notes.hither images --dim 512 --metric l2", create_options, ht_run_create},
    {"list", "DB", 1, 1, "list the collections", "Lists the collections of DB by name.", NULL, json_options,
     ht_run_list},
    {"rename", "DB OLD NEW", 3, 3, "rename a collection", "Renames collection OLD to NEW.", NULL, no_options,
     ht_run_rename},
    {"schema", "DB NAME [JSON|FILE|none]", 2, 3, "say what rows of a collection must be like",
     "Without a third operand prints the schema of collection NAME, nothing if it has none. With one sets it, or with "
     "none removes it: a JSON object, or the name of a file with one (- is standard input). Rows that are there must "
     "fit; the first that does not is named, and nothing is changed.",
     "hither schema notes.hither people '{\"fields\": {\"year\": \"int\"}}'", no_options, ht_run_schema},
    {"drop", "DB NAME", 2, 2, "remove a collection and its rows", "Removes collection NAME and all its rows.", NULL,
     no_options, ht_run_drop},
    {"info", "DB [NAME]", 1, 2, "say what a database or a collection is",
     "Prints facts about the database, or about collection NAME.", NULL, json_options, ht_run_info},
    {"verify", "DB", 1, 1, "check every byte of a database",
     "Reads every committed byte of DB and checks it against its checksums, and rows against their schema. Prints "
     "\"ok: ...\" and ends with 0, or prints one line for each damaged place and ends with 3. Nothing is changed.",
     NULL, verify_options, ht_run_verify},
    {"ttl", "DB NAME SECONDS", 3, 3, "say how long rows live",
     "From now on rows written to the collection live SECONDS, unless they say in their metadata when they end: "
     "\"_expires\", seconds since 1970. 0: for ever, unless they say. off: what they say means nothing, as in a new "
     "collection. A row that has ended is in no answer; expire, compact and purge remove it.",
     "hither ttl notes.hither sessions 3600", no_options, ht_run_ttl},
    {"expire", "DB NAME", 2, 2, "remove the rows that have ended",
     "Deletes the rows of the collection whose time is over, and prints how many. They are in no answer before that.",
     "hither expire notes.hither sessions", no_options, ht_run_expire},
    {"reembed", "DB NAME", 2, 2, "move a collection to another embedder",
     "Gives every row of collection NAME the vector that the sentence model of --model, or without it the built-in "
     "embedder, makes of its document. Stopped or failed, it has changed nothing. On a terminal the progress is shown.",
     "hither reembed notes.hither notes --model models/all-MiniLM-L6-v2", reembed_options, ht_run_reembed},
    {"compact", "DB [NAME]", 1, 2, "give the space of deleted rows back",
     "Gives the space of deleted and replaced rows, of one collection or of all, back to the file system. Other "
     "processes may read meanwhile. It may be stopped at any moment. Prints nothing; on a terminal the progress is "
     "shown.",
     "hither compact notes.hither", no_options, ht_run_compact},
    {"purge", "DB", 1, 1, "leave no byte of deleted rows",
     "Compacts every collection of DB, however little there is to gain, and writes the catalog anew, so that no file "
     "in the folder holds a byte of a row that was deleted or replaced. Backups, and what the file system keeps of "
     "removed files, are out of its reach. Ends with BUSY while another process reads.",
     "hither purge notes.hither", no_options, ht_run_purge},
    {"backup", "DB DEST", 2, 2, "copy a database while it is in use",
     "Makes the folder DEST, a copy of DB as one commit left it, and checks every byte of the copy before the folder "
     "gets its name. Another process may write to DB meanwhile. DEST is a database like any other; it must not be "
     "there "
     "yet. A backup that was stopped half-way leaves a folder named DEST.partial-..., which may be removed.",
     "hither backup notes.hither notes-monday.hither", no_options, ht_run_backup},
    {"pack", "DB FILE", 2, 2, "make one read-only file of a database",
     "Makes FILE of the live rows of DB, as one commit left them, and checks every byte before the file gets its name. "
     "Every command that reads opens FILE as it would DB, any number of processes at once; commands that write are "
     "refused. Another process may write to DB meanwhile. FILE must not be there yet. A pack that was stopped half-way "
     "leaves a folder named FILE.partial-..., which may be removed. `hither restore FILE DEST` makes a folder of it.",
     "hither pack notes.hither notes.pack", no_options, ht_run_pack},
    {"restore", "BACKUP DEST", 2, 2, "make a database of a backup",
     "Makes the database folder DEST, a checked copy of BACKUP, which is only read. DEST must not be there yet.",
     "hither restore notes-monday.hither notes.hither", no_options, ht_run_restore},
    {"repair", "DB DEST", 2, 2, "save what is sound in a damaged database",
     "Makes the database folder DEST of all rows of DB whose vector, id, metadata and document fit their checksums, "
     "and "
     "prints one line for each row, or run of rows, that is lost. Ends with 0 when nothing is, with 3 otherwise. DB is "
     "only read. When its catalog cannot be opened at all, nothing is made and the message says what is left to try.",
     "hither repair damaged.hither saved.hither", no_options, ht_run_repair},
    {"watch", "[FILE...]", 0, SIZE_MAX, "print the lines of a stream that are new or rare",
     "Reads lines from standard input, or from the files one after another, and prints those whose form was not seen, "
     "or hardly, among the lines before: score, reason, line, and the nearest known line. Numbers, addresses, times "
     "and the like are masked before lines are compared. The higher the score, the newer the line.\n\n"
     "About one line in a thousand is printed (--rate), fewer if fewer are new or rare, and of each form only the "
     "first "
     "line while the window remembers it.\n\n"
     "The first lines are learned without alarms. Without --state and --archive nothing is written to disk. Lines that "
     "are not UTF-8, hold NUL bytes "
     "or are longer than 64 KiB are taken as well as can be, and counted on standard error at the end.",
     "tail -f app.log | hither watch\nhither watch -f --rate 0.5% /var/log/*.log\njournalctl -f -o json | hither watch "
     "--json",
     watch_options, ht_run_watch},
    {"grep", "PATTERN [FILE...]", 1, SIZE_MAX, "print the lines that say something like PATTERN",
     "Prints the lines of the files, or of standard input, that are near PATTERN: as wholes, or in a run of about as "
     "many "
     "words as PATTERN has. Near is what the built-in embedder takes for near: lines that share words, parts of words "
     "or "
     "misspelt words, in any order. With --model it is what a sentence model takes for near, of lines as wholes with "
     "their numbers, times and the like masked; each form of line is embedded once.\n\n"
     "Ends with 0 if a line was found, with 1 if none was.",
     "hither grep \"disk is full\" /var/log/syslog -n -C 2\njournalctl -f | hither grep \"connection refused by host\"",
     grep_options, ht_run_grep},
    {"uniq", "[FILE...]", 0, SIZE_MAX, "print one line for each group of lines that are alike",
     "Reads lines and prints the first line of each group of lines that are alike, in order, with how many there are. "
     "The "
     "lines need not follow each other. Lines are alike when they differ in numbers, times, addresses and the like "
     "only; "
     "with --near also when their words are nearly the same. A line joins the group whose first line is nearest. Of "
     "65,536 groups the oldest is printed and forgotten to make room.",
     "hither uniq --near app.log | sort -rn | head", uniq_options, ht_run_uniq},
    {"top", "[FILE...]", 0, SIZE_MAX, "show the groups of lines that grow",
     "Reads lines and shows the groups of near-equal lines that grew most in the last minute: lines in that minute, "
     "lines "
     "in all, and the group's first line. On a terminal the list is shown anew in its place; elsewhere it is printed "
     "each "
     "time, and at the end.",
     "tail -f app.log | hither top\nhither top -f --every 10 /var/log/*.log", top_options, ht_run_top},
    {"knn", "BASE.npy QUERIES.npy", 2, 2, "nearest rows of one array to those of another",
     "Prints, for each row of QUERIES.npy, the nearest rows of BASE.npy: row numbers, counted from 0, and distances "
     "(smaller is nearer). No database is made. The answer is exact for the numbers in the files: float16, float32, "
     "float64 and int8, and with --dtype also bf16 (uint16) and packed bits (uint8).\n\n"
     "With --json a query is {\"query\", \"labels\", \"distances\"}.",
     "hither knn base.npy queries.npy -k 3 --metric l2\n"
     "hither knn base.npy queries.npy --radius 0.2\n"
     "hither knn bits.npy queries.npy --dtype b1",
     knn_options, ht_run_knn},
    {"index", "DB NAME", 2, 2, "give a collection an index, so that large ones need not be read to be searched",
     "Makes an index of the rows there are, on all cores; rows that come later are found at once, and built in by and "
     "by. It is a cache beside the rows: without it search is exact, only slower. A search uses it where that costs "
     "less, and finds the share of the true answers that --recall asks for (0.95 unless it says otherwise; 1 is "
     "exact). --kind exact takes it away.",
     "hither index notes.hither articles --kind hnsw\n"
     "hither search notes.hither articles \"a bird of prey\" --recall 0.99",
     index_options, ht_run_index},
    {"index build", "FILE.npy|-", 1, 1, "make a file of an array that is searched at once",
     "Writes the rows of FILE.npy, and what searching them needs, to the file named by -o. Numbers are float16, "
     "float32, float64 or int8, with --dtype bf16 also uint16, and with --dtype b1 also packed uint8; they are stored "
     "as --dtype says. An array in a file that is stored as it is is read where it lies, so it may be larger than "
     "memory; others, and standard input, are copied into memory first.\n\n"
     "With --kind hnsw a graph of the rows is built too, with --kind ivf lists of them, on all cores, and what a "
     "search "
     "must do for a recall is measured; the rows are then copied into memory. The same rows give the same file.",
     "hither index build base.npy -o base.hi --metric l2\n"
     "hither index build base.npy -o base.hi --labels numbers.txt\n"
     "hither index build base.npy -o small.hi --dtype i8\n"
     "hither index build base.npy -o fast.hi --kind hnsw",
     index_build_options, ht_run_index_build},
    {"index info", "FILE", 1, 1, "say what an index file holds",
     "Prints facts about the index: kind, dimensions, type, metric, rows, bytes of rows, and bytes of what searching "
     "adds.",
     NULL, json_options, ht_run_index_info},
    {"index search", "FILE QUERIES.npy", 2, 2, "nearest rows of an index file to those of an array",
     "Prints, for each row of QUERIES.npy, the nearest rows of the index: labels and distances (smaller is nearer). "
     "The file is mapped, and its bytes are checked as they are read. The answer is exact, unless the index has a "
     "graph: "
     "then it is right for the share that --recall asks for.\n\n"
     "With --json a query is {\"query\", \"labels\", \"distances\"}, and with --explain what the search did is "
     "{\"plan\"}.",
     "hither index search base.hi queries.npy -k 3\n"
     "hither index search base.hi queries.npy --metric dot --json\n"
     "hither index search base.hi queries.npy --radius 0.2 --explain",
     index_search_options, ht_run_index_search},
    {"index verify", "FILE", 1, 1, "check every byte of an index file",
     "Reads every byte of the index and checks it against its checksums, and what searching needs against the rows. "
     "Prints \"ok: ...\" and ends with 0, or says where the first damage is and ends with 3.",
     NULL, no_options, ht_run_index_verify},
    {"tune", "FILE", 1, 1, "show what recall costs in an index file with a graph",
     "Measures the graph of the index with rows of its own, each moved away a little, and prints for each effort (ef) "
     "the "
     "rows a search compares, and the shares of the 10 and of the 100 nearest that it finds, less one standard error. "
     "A "
     "search that asks for a recall takes the least effort that has it.",
     "hither tune fast.hi", json_options, ht_run_tune},
    {"embed", "[FILE|-]", 0, 1, "turn lines of text into vectors",
     "Prints the vector of each line of FILE or standard input, as one JSON array a line: the built-in embedder's, or "
     "that "
     "of a sentence model.",
     "echo \"a bird of prey\" | hither embed\n"
     "hither embed --model models/minilm notes.txt",
     embed_options, ht_run_embed},
    {"model add", "DIR [NAME]", 1, 2, "copy a sentence model to where it is found",
     "Copies what hither reads of the model in DIR into the user's data folder (~/.local/share/hither/models), under "
     "NAME "
     "or DIR's own name, and opens it there. Links are followed, so a folder of a download cache will do. From then on "
     "--model NAME means it, and collections made with it find it by themselves.",
     "hither model add downloads/all-MiniLM-L6-v2 minilm", no_options, ht_run_model_add},
    {"model list", "", 0, 0, "list the sentence models of this machine",
     "Lists the models in HITHER_MODELS and in the user's data folder: name, what collections store of it, dimensions, "
     "folder.",
     NULL, no_options, ht_run_model_list},
    {"model check", "DIR|NAME", 1, 1, "test a sentence model",
     "Opens a model and embeds a few texts: alone and among many they must have the same vectors, of length 1, and "
     "near "
     "to those computed in f32.",
     "hither model check minilm", no_options, ht_run_model_check},
    {"model distill", "DIR|NAME DEST", 2, 2, "make a static model of an encoder",
     "Makes a static model in the new folder DEST: of each token the vector that the encoder gives it alone, with "
     "fewer "
     "dimensions, and a weight by how rare it is. It embeds some hundred times faster and understands less; "
     "docs/embedders.md has figures.",
     "hither model distill minilm models/minilm-static", distill_options, ht_run_model_distill},
    {"help", "[COMMAND]", 0, 2, "print help", "Prints help about hither or about COMMAND.", NULL, help_options,
     ht_run_help},
};
const size_t ht_commands_count = sizeof ht_commands / sizeof *ht_commands;

const char ht_about_line[] = "hither keeps vectors, texts and metadata in a folder and finds what is near.";

const char ht_about[] =
    "hither is an embedded vector engine: no server, no network, no model to download. A database is a folder, by "
    "convention NAME.hither, that holds named collections. A row of a collection has an id (an integer or a string), a "
    "vector, and where wanted a document (text) and metadata (a JSON object). Texts are embedded by the built-in "
    "embedder, which finds texts that share words or parts of words, not texts that share a meaning; with --model DIR "
    "by "
    "a sentence model in a folder, which does that too.\n\n"
    "One process at a time may write to a database; any number may read beside it.";

const ht_man_section ht_man_sections[] = {
    {"FILTERS",
     "--where takes a JSON object of conditions on a row's metadata: {\"lang\": \"en\"} wants that value, "
     "{\"stars\": {\"$gte\": 3, \"$lt\": 5}} a range; a dot in a key reaches into objects, an array matches if one of "
     "its elements does. There are $eq $ne $gt $gte $lt $lte $in $nin $exists $contains $not_contains $regex, and "
     "around "
     "conditions $and $or $not. {\"$document\": {\"$contains\": \"owl\"}} looks at the document. Numbers compare "
     "exactly, "
     "strings by their bytes. $ne, $nin and $not_contains also match rows without the field."},
    {"EXIT STATUS",
     "0: done. 1: an error, named on standard error with its status in parentheses, e.g. (NOT_FOUND). 2: "
     "the command line is wrong. 3: verify or repair found damage. 130: interrupted; what import had reported as "
     "written stays. A reader that closes its end of the pipe is not an error."},
    {"ENVIRONMENT",
     "HITHER_SIMD caps the instruction sets in use, e.g. scalar or avx2. HITHER_THREADS caps the threads. "
     "HITHER_CACHE names the folder where large models are kept packed (default hither in the user's cache folder; "
     "empty "
     "for nowhere). HITHER_ONNXRUNTIME names ONNX Runtime's library or its folder, for --engine onnxruntime. "
     "HITHER_MODELS names folders of sentence models, separated by colons, among which the model of a collection is "
     "found. "
     "NO_COLOR, when set and not empty, turns colours off; they are used on a terminal only. COLUMNS is "
     "the width of a terminal that does not tell its own."},
    {"FILES", "NAME.hither/ is a database. Nothing else is read or written, but the files named on the command line."},
};
const size_t ht_man_sections_count = sizeof ht_man_sections / sizeof *ht_man_sections;

/*
 * hither.h: the whole public surface of libhither, an embedded vector engine.
 *
 * This file is the contract. Every function says shapes, units, ownership, thread-safety, errors and the version it
 * came with; where the prose and the code differ, that is a bug worth reporting.
 *
 * What holds everywhere:
 *   - A fallible function returns a hither_status and takes a caller-owned hither_error last, which may be NULL. The
 *     status alone decides behaviour; the message is for people: what was wrong, where, and what to do.
 *   - Outputs are written only on success. A constructor that fails leaves *out == NULL.
 *   - Inputs are borrowed for the length of the call and never changed. Every _free and _close accepts NULL.
 *   - Handles (db, collection, embedder, window) are counted and may be shared by any number of threads. They may be
 *     closed in any order: what a handle stands on lives until its last user is gone. Use after close is undefined.
 *   - Results, cursors, options and errors belong to one thread at a time.
 *   - A database, and what stands on it, belongs to the process that opened it. In a forked child every call on it but
 *     close returns HITHER_FORKED.
 *   - Strings are bytes with a length, in UTF-8; paths are NUL-terminated.
 *   - The library never prints, aborts, exits, opens a socket, or installs a signal handler.
 *
 * Options structs grow at the end. Their first member is their size, and 0 in any other member means the documented
 * default. Write them with HITHER_OPTIONS (C) or set .size by hand (C++). A NULL options pointer means all defaults.
 */
#ifndef HITHER_H
#define HITHER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) || defined(__clang__)
#define HITHER_API        __attribute__((visibility("default")))
#define HITHER_MUST_CHECK __attribute__((warn_unused_result))
#else
#define HITHER_API
#define HITHER_MUST_CHECK
#endif

#define HITHER_OPTIONS(type, ...) (&(type){.size = sizeof(type), __VA_ARGS__})

/* major * 1000000 + minor * 1000 + patch */
#define HITHER_VERSION_NUMBER 1000

/* The largest values accepted. Each is tested at, below and above. */
#define HITHER_MAX_DIM           65535u      /* dimensions of a vector */
#define HITHER_MAX_K             65536u      /* results of one query */
#define HITHER_MAX_ROWS          (1u << 20)  /* rows of one answer that has no k */
#define HITHER_MAX_PAGE          65536u      /* rows of one page */
#define HITHER_MAX_ID_BYTES      1024u       /* bytes of a string id */
#define HITHER_MAX_NAME_BYTES    255u        /* bytes of a collection's name */
#define HITHER_MAX_TEXT_BYTES    (16u << 20) /* bytes of one metadata object, or of one document */
#define HITHER_MAX_JSON_DEPTH    64u         /* nesting of a metadata object */
#define HITHER_MAX_WHERE_BYTES   (1u << 20)  /* bytes of a filter */
#define HITHER_MAX_WHERE_DEPTH   32u         /* $and, $or, $not and the like inside one another */
#define HITHER_MAX_WHERE_NODES   1024u       /* conditions of a filter */
#define HITHER_MAX_WHERE_VALUES  65536u      /* values of a filter, those of all its $in together */
#define HITHER_MAX_REGEXES       16u         /* $regex of a filter */
#define HITHER_MAX_KEYWORDS      1024u       /* words of a keyword query */
#define HITHER_MAX_FIELDS        16u         /* vector fields of a collection beside its own vectors */
#define HITHER_MAX_FIELD_BYTES   63u         /* bytes of the name of one */
#define HITHER_MAX_SCHEMA_BYTES  65536u      /* bytes of a schema */
#define HITHER_MAX_SCHEMA_FIELDS 256u        /* fields it declares */

/* ---------------------------------------------------------------- status and errors */

typedef enum hither_status {
    HITHER_OK = 0,
    HITHER_INVALID,      /* an argument makes no sense: k = 0, an unknown metric, no vectors where some are needed */
    HITHER_DIMENSION,    /* a vector has another dimension than the collection, or one outside 1...HITHER_MAX_DIM */
    HITHER_NOT_FINITE,   /* a NaN or an infinity; the message names the row and the column */
    HITHER_ENCODING,     /* text that is not UTF-8; the message names the row and the byte */
    HITHER_SYNTAX,       /* text that is not the JSON (CSV, .npy, ...) it should be; the message names the place */
    HITHER_TOO_LARGE,    /* beyond a limit above */
    HITHER_NOMEM,        /* memory ran out; nothing was changed */
    HITHER_IO,           /* the operating system reported an I/O error; os_errno has it */
    HITHER_FULL,         /* no space left on the device; nothing was changed */
    HITHER_PERMISSION,   /* the operating system denied access */
    HITHER_NOT_FOUND,    /* no such collection, id or file */
    HITHER_EXISTS,       /* the id or collection is there already; nothing was changed */
    HITHER_BUSY,         /* another process writes to this database (the message names its pid), or a window is full */
    HITHER_READONLY,     /* the handle, or the file system, is read-only */
    HITHER_NOT_DATABASE, /* the path holds something else */
    HITHER_FORMAT,       /* written by a newer hither than this one */
    HITHER_CORRUPT,      /* bytes that fail their checksum or contradict each other; the message names the place */
    HITHER_POISONED,     /* an earlier write could not be made durable; close the database and open it again */
    HITHER_UNSUPPORTED,  /* a known thing this build, file or collection cannot do */
    HITHER_MODEL,        /* an embedder is missing, broken, or not the one the collection was made with */
    HITHER_INTERRUPTED,  /* stopped on request; nothing is half done */
    HITHER_TIMEOUT,      /* the time allowed ran out */
    HITHER_STALE,        /* the version a cursor stands on is gone */
    HITHER_FORKED        /* the handle belongs to the parent process */
} hither_status;

/* The caller's. 256 bytes for good. The message is NUL-terminated UTF-8; too long a text is cut, never the status. */
typedef struct hither_error {
    int32_t status;
    int32_t os_errno;
    char message[248];
} hither_error;

/* The name of a status without its prefix, e.g. "NOT_FOUND"; "UNKNOWN" for other numbers. Any thread. Since 0.1. */
HITHER_API const char *hither_status_name(hither_status status);

/* Version of the linked library, to compare with HITHER_VERSION_NUMBER, and as text. Any thread. Since 0.1. */
HITHER_API int hither_version_number(void);
HITHER_API const char *hither_version(void);

/* The kernels in use: "scalar", "avx2", "avx512", "neon", ... Chosen once, at first need, from the processor, and
 * capped by the environment variable HITHER_SIMD. Any thread. Since 0.1. */
HITHER_API const char *hither_simd(void);

/* ---------------------------------------------------------------- memory */

/* alloc returns `bytes` bytes aligned to `align` (a power of two), or NULL. resize keeps the contents and is called
 * only for blocks with default alignment. release accepts what alloc or resize returned. All may be called from any
 * thread at once. */
typedef struct hither_allocator {
    void *(*alloc)(void *ctx, size_t bytes, size_t align);
    void *(*resize)(void *ctx, void *ptr, size_t bytes);
    void (*release)(void *ctx, void *ptr);
    void *ctx;
} hither_allocator;

/* Replaces malloc for the library's own memory (SQLite and jansson keep theirs). Only before any other call:
 * HITHER_INVALID once memory has been given out. One thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_set_allocator(const hither_allocator *allocator, hither_error *err);

/* ---------------------------------------------------------------- values and views */

typedef enum hither_dtype {
    HITHER_F32 = 1,
    HITHER_F64 = 2,
    HITHER_F16 = 3,
    HITHER_BF16 = 4,
    HITHER_I8 = 5,
    HITHER_B1 = 6
} hither_dtype;

/* Smaller is nearer. COSINE: 1 - similarity, in [0, 2], and 1 where either side is a zero vector. DOT: -<q, x>.
 * L2: squared Euclidean. L1: sum of absolute differences. HAMMING: differing bits (b1 only). */
typedef enum hither_metric {
    HITHER_COSINE = 1,
    HITHER_DOT = 2,
    HITHER_L2 = 3,
    HITHER_L1 = 4,
    HITHER_HAMMING = 5
} hither_metric;

/* A borrowed matrix: row i starts at (char *)data + i * stride. stride is in bytes, 0 means packed. For f32 and wider
 * data and stride must be multiples of the element size. bf16 is the upper half of an f32. i8 are plain numbers, -128
 * to 127. In b1 dim counts bits, eight a byte from the highest down (numpy.packbits); bits past dim have no meaning. */
typedef struct hither_matrix {
    const void *data;
    size_t rows, dim, stride;
    hither_dtype dtype;
} hither_matrix;

/* A borrowed column of strings, laid out as Arrow's: string i is bytes[offsets[i] ... offsets[i + 1]), offsets has
 * count + 1 entries and rises. valid is NULL when every string is there; otherwise bit i (byte i / 8, bit i % 8) is 0
 * where string i is missing. */
typedef struct hither_strings {
    const char *bytes;
    const uint64_t *offsets;
    size_t count;
    const uint8_t *valid;
} hither_strings;

/* A borrowed column of ids: integers when ints is not NULL, else strings of 1...HITHER_MAX_ID_BYTES bytes of UTF-8
 * without NUL. A collection holds one kind; its first write decides which. */
typedef struct hither_ids {
    const int64_t *ints;
    hither_strings strings;
    size_t count;
} hither_ids;

/* What rows have in a vector field. */
typedef enum hither_vector_kind {
    HITHER_DENSE = 1, /* a vector */
    HITHER_MULTI = 2, /* several vectors, of words or pictures, say; the distance of a row is minus the sum, over the
                         vectors of the query, of each one's largest dot product with a vector of the row (MaxSim) */
    HITHER_SPARSE = 3 /* numbers at some of 2^32 places, zeros elsewhere; the distance is minus the dot product */
} hither_vector_kind;

/* A vector field that rows have beside their own vectors, see hither_collection_options. */
typedef struct hither_field {
    const char *name;        /* 1...HITHER_MAX_FIELD_BYTES bytes of UTF-8 without control characters */
    hither_vector_kind kind; /* default HITHER_DENSE */
    uint32_t dim;            /* of a vector: needed; SPARSE: 0 */
    hither_metric metric;    /* DENSE: default HITHER_COSINE. Others: HITHER_DOT, the default */
    hither_dtype dtype;      /* default HITHER_F32, today's only one */
    uint32_t most;           /* vectors (MULTI, default 64) or entries (SPARSE, default 256) that a row may have. Every
                                row takes the space of so many */
} hither_field;

/* A borrowed column of what rows have in a vector field, in order. Row i of a DENSE field is row i of `vectors`. Of a
 * MULTI field it is the rows offsets[i] ... offsets[i + 1] of `vectors`, of a SPARSE one the entries offsets[i] ...
 * offsets[i + 1] of `indices` and `values`: offsets has count + 1 entries and rises. Indices may come in any order,
 * none twice in a row. valid NULL: every row is there; otherwise bit i (byte i / 8, bit i % 8) is 0 where it is not. */
typedef struct hither_named {
    const char *field;
    size_t count; /* rows */
    hither_matrix vectors;
    const uint64_t *offsets;
    const uint32_t *indices;
    const float *values;
    const uint8_t *valid;
} hither_named;

/* ---------------------------------------------------------------- arrays */

typedef struct hither_knn_options {
    size_t size;
    hither_metric metric;  /* default HITHER_COSINE, of b1 HITHER_HAMMING */
    uint32_t threads;      /* 0: one for a single query, all cores for more; only ever lowers the pool */
    const uint64_t *allow; /* NULL: all rows. Bit i % 64 of word i / 64 allows row i; rows past allow_bits are not */
    uint64_t allow_bits;
    double recall; /* default 1: exact. Less: about the share of true answers that is enough, where rows have codes */
} hither_knn_options;

/* The k nearest rows of `base` to each row of `queries`, exactly: what brute force with the reference distance gives,
 * ties by row number, the same at every SIMD level and thread count.
 *
 * labels and distances are row-major, queries->rows x k, the caller's. Where fewer than k rows qualify the rest is
 * label -1 and distance +inf.
 *
 * base is of any dtype and read where it lies; "exactly" means for the numbers it holds. queries are f32 or f64, and
 * rounded once to f32; beside f64 rows they stay f64; beside b1 rows they are b1, or numbers, of which those above 0
 * are 1 bits. b1 takes HAMMING, and all others all metrics but that. Errors: INVALID (k = 0, NULL), TOO_LARGE,
 * DIMENSION, NOT_FINITE (in either matrix; rows that `allow` leaves out are not looked at; also an f64 row whose
 * distance is beyond f64), UNSUPPORTED (a metric for the dtype), NOMEM. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_knn(const hither_matrix *base, const hither_matrix *queries,
                                                      uint32_t k, const hither_knn_options *options, int64_t *labels,
                                                      float *distances, hither_error *err);

/* For work that may take long. progress (may be NULL) is called now and then, on the calling thread and with no lock
 * held; done rises towards total, which may rise too. Anything but 0 stops the work: INTERRUPTED. It may use the
 * database. */
typedef struct hither_work_options {
    size_t size;
    int (*progress)(void *ctx, uint64_t done, uint64_t total);
    void *ctx;
    uint32_t wait_ms; /* of a purge: how long to wait for readers that are in the way; default 1,000 */
} hither_work_options;

/* ---------------------------------------------------------------- embedder: text to vectors */

typedef struct hither_embedder hither_embedder;

/* The built-in embedder: no model, 384 dimensions, hashed words, word pairs and character trigrams, the same bytes on
 * every machine (docs/embedder.md has the algorithm). It finds texts that share words or parts of words, not texts
 * that share a meaning. Errors: NOMEM. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_embedder_builtin(hither_embedder **out, hither_error *err);

/* What runs a sentence model. */
typedef enum hither_engine {
    HITHER_ENGINE_OWN = 1,        /* hither's own encoder: the BERT family, nothing to install */
    HITHER_ENGINE_ONNXRUNTIME = 2 /* ONNX Runtime, opened at run time: any *.onnx with a tokenizer that is known */
} hither_engine;

typedef struct hither_embedder_options {
    size_t size;
    hither_dtype precision;      /* how it multiplies: HITHER_I8 (default) or HITHER_F32, some three times slower */
    uint32_t max_tokens;         /* of a text, what is beyond is cut off; default: as the folder says, else 512 */
    const char *query_prefix;    /* put before queries; default: as the folder says, else "" */
    const char *document_prefix; /* put before all other texts; the same */
    const char *file;        /* of the weights, in the folder: *.safetensors or *.onnx; default: model.safetensors, else
                                model.onnx or model_quantized.onnx, there or in onnx/ */
    hither_engine engine;    /* default: its own, and ONNX Runtime for an *.onnx that is not for its own */
    const char *onnxruntime; /* path of libonnxruntime.so, or of its folder; default: beside the program, in the
                                Python packages of its environment, then where the system looks */
    const char *cache;       /* a folder where a large model by bytes is kept packed, which makes opening it again some
                                five times faster (docs/models.md); made if missing. Default: none */
} hither_embedder_options;

/* A sentence model from its folder, as it is published: config.json, model.safetensors or model.onnx, and
 * tokenizer.json (or vocab.txt), and where they are there 1_Pooling/config.json and other settings. Encoders of the
 * BERT family (MiniLM, BGE, E5, GTE in English) are possible; docs/models.md says which. With HITHER_I8 a text's vector
 * is the same bytes on every machine and whatever it is embedded beside. By ONNX Runtime (1.20 or newer) any model in
 * an *.onnx file is possible; precision has no meaning then, and texts are computed side by side, but for models that
 * quantize as they go. Errors: MODEL (says what is missing, wrong or not supported, or how to get ONNX Runtime),
 * INVALID, SYNTAX, ENCODING, TOO_LARGE, UNSUPPORTED (a precision), NOT_FOUND, PERMISSION, IO, NOMEM. Any thread. Since
 * 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_embedder_open(const char *folder,
                                                                const hither_embedder_options *options,
                                                                hither_embedder **out, hither_error *err);

HITHER_API uint32_t hither_embedder_dim(const hither_embedder *embedder);
/* The name stored with a collection, e.g. "builtin-1". Lives as long as the embedder. Since 0.1. */
HITHER_API const char *hither_embedder_name(const hither_embedder *embedder);

/* One unit vector a text into vectors (texts->count x dim floats, packed, the caller's); a text without tokens gives
 * the zero vector. Texts are spread over the pool's threads. Errors: ENCODING (names the text), TOO_LARGE, MODEL (what
 * comes out is not finite), NOMEM. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_embedder_embed(hither_embedder *embedder, const hither_strings *texts,
                                                                 float *vectors, hither_error *err);
/* The same for texts that are searched by, where a model was trained with a prefix for these. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_embedder_embed_queries(hither_embedder *embedder,
                                                                         const hither_strings *texts, float *vectors,
                                                                         hither_error *err);
HITHER_API void hither_embedder_close(hither_embedder *embedder);

/* Makes a static model (docs/models.md) in the folder `dest`, which must not be there, from the encoder in `folder`: of
 * each token the vector it has alone, in dim dimensions (0: 256, or the encoder's where that is less) by their
 * principal components, weighted by how rare it is. Takes a minute or so; the files are as model2vec's. Errors: as
 * hither_embedder_open, MODEL (no encoder), INVALID, EXISTS, INTERRUPTED, FULL. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_model_distill(const char *folder, const char *dest, uint32_t dim,
                                                                const hither_work_options *options, hither_error *err);

/* ---------------------------------------------------------------- results */

/* Columns of records, immutable, the caller's until hither_result_free; every pointer taken from it dies with it.
 * A result of several queries holds one group of records a query; other results hold one group, number 0. A column
 * that was not asked for, or a group out of range, reads as empty (count 0, data NULL). */
typedef struct hither_result hither_result;

HITHER_API size_t hither_result_groups(const hither_result *result);
HITHER_API size_t hither_result_count(const hither_result *result, size_t group);
HITHER_API hither_ids hither_result_ids(const hither_result *result, size_t group);
/* Distances of a search, smaller is nearer; NULL for other results. */
HITHER_API const float *hither_result_distances(const hither_result *result, size_t group);
/* Scores of a search by keywords, larger is better; NULL for other results. Since 0.1. */
HITHER_API const double *hither_result_scores(const hither_result *result, size_t group);
HITHER_API hither_matrix hither_result_vectors(const hither_result *result, size_t group);
/* What the records have in vector field number `field`, counted from 1, which was asked for by
 * HITHER_INCLUDE_FIELD << (field - 1); all zero otherwise. Indices rise. Since 0.1. */
HITHER_API hither_named hither_result_named(const hither_result *result, size_t group, uint32_t field);
HITHER_API hither_strings hither_result_metadata(const hither_result *result, size_t group);
HITHER_API hither_strings hither_result_documents(const hither_result *result, size_t group);
/* What ran, as one JSON object: rows, estimates beside true counts, and milliseconds, stage by stage (docs/explain.md
 * has the members); "" for results that are not of a search, a page or facets. */
HITHER_API const char *hither_result_plan(const hither_result *result);
/* Of a page: the token of the next one, "" where there is none. Since 0.1. */
HITHER_API const char *hither_result_next(const hither_result *result);
HITHER_API void hither_result_free(hither_result *result);

/* What a result carries besides ids (and distances). */
enum {
    HITHER_INCLUDE_VECTORS = 1,
    HITHER_INCLUDE_METADATA = 2,
    HITHER_INCLUDE_DOCUMENTS = 4,
    HITHER_INCLUDE_NOTHING = 8,      /* ids only; 0 means the call's default */
    HITHER_INCLUDE_FIELD = 256,      /* vector field 1; of field n, in the order of declaring: 256 << (n - 1) */
    HITHER_INCLUDE_FIELDS = 0xffff00 /* every vector field */
};

/* ---------------------------------------------------------------- index: arrays kept, searched, saved */

typedef struct hither_index hither_index; /* counted, thread-safe: searches run together, a writer waits for them */

typedef enum hither_kind {
    HITHER_EXACT = 1, /* every answer is brute force's */
    HITHER_IVF = 2,   /* rows are cut into lists, of which the nearest are looked into; built fast, small, and for rows
                       * that do not fit into memory. What is found has exact distances, as with HITHER_HNSW */
    HITHER_HNSW = 3,  /* a graph is walked; what it finds has exact distances, which rows it finds is not exact */
    HITHER_AUTO = 4   /* exact answers, unless a search asks for a recall below 1. For those a graph is made once there
                       * are 10,000 rows, or lists where the rows take more than half of the memory there is; each is
                       * used where it costs less than an exact search. Of a hither_index hither_index_build begins it */
} hither_kind;

typedef struct hither_index_options {
    size_t size;
    uint32_t dim;         /* needed */
    hither_dtype dtype;   /* what rows are stored as; default HITHER_F32 */
    hither_metric metric; /* default HITHER_COSINE, of b1 HITHER_HAMMING; of searches that do not name another */
    hither_kind kind; /* default HITHER_EXACT. Others take cosine, dot and l2 of all dtypes but b1; what a kind does not
                       * take is searched exactly, and so are a few thousand rows */
    uint32_t m;       /* HNSW: links of a node, 4 to 128, twice as many on the lowest layer; default 16 */
    uint32_t ef_build; /* HNSW: candidates looked at for a new node's links; default 100 */
    uint32_t bits;     /* HNSW: of the codes that are walked by, 4 or 8; default 4 */
    uint32_t lists;    /* IVF: how many, at most 65,536; default eight times the square root of the rows, or one for 88
                        * rows    where that is more; of 64 rows at least */
    uint64_t seed;     /* the same rows and options give the same bytes, at any number of threads */
} hither_index_options;

/* An empty index in memory. Errors: DIMENSION, INVALID, UNSUPPORTED, NOMEM. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_index_new(const hither_index_options *options, hither_index **out,
                                                            hither_error *err);
/* An index over rows that stay the caller's: `rows` (of any dtype) must not change or go away before the last close.
 * Labels are the row numbers; rows can be removed, not added. metric 0: cosine, of b1 hamming. Errors: DIMENSION,
 * NOT_FINITE, INVALID, UNSUPPORTED, NOMEM. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_index_wrap(const hither_matrix *rows, hither_metric metric,
                                                             hither_index **out, hither_error *err);
/* Opens a saved index by mapping it: at once, whatever its size, in any number of processes. Its bytes are checked as
 * they are first read. Rows added later live in memory until the next save.
 * Errors: NOT_FOUND, NOT_DATABASE, FORMAT, CORRUPT (with the offset), PERMISSION, IO, NOMEM. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_index_open(const char *path, hither_index **out, hither_error *err);
HITHER_API void hither_index_close(hither_index *index);

/* Copies rows in under labels >= 0 of the caller's, or (labels NULL) under the next ones, counted on from the largest
 * label so far; *first (may be NULL) is the first of those. All rows go in, or none.
 *
 * Rows of the index's own dtype are stored as they are, i8 with a scale of 1. f32 and f64 are converted: to f32, f16
 * and bf16 by rounding to nearest, ties to even (what is too large for the type is NOT_FINITE); to i8 with a scale a
 * row, s = max|x| / 127 in f32, as the integers nearest to x / s; to b1 as x > 0.
 * Errors name the row: DIMENSION, NOT_FINITE, EXISTS (a label known or repeated), INVALID; READONLY (wrapped rows),
 * UNSUPPORTED (a dtype that is not converted), NOMEM. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_index_add(hither_index *index, const hither_matrix *rows,
                                                            const int64_t *labels, int64_t *first, hither_error *err);
/* Removes rows by label; unknown labels are passed over, *removed (may be NULL) counts the others. Their memory comes
 * back with the next save and open. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_index_remove(hither_index *index, const int64_t *labels, size_t count,
                                                               size_t *removed, hither_error *err);

typedef struct hither_index_build_options {
    size_t size;
    uint32_t threads; /* 0: all cores */
    int due;          /* not 0: only if so many rows wait, or were removed, that it pays */
    /* NULL, or called now and then by the thread that builds; a value other than 0 ends it with INTERRUPTED. */
    int (*step)(void *ctx, uint64_t done, uint64_t of);
    void *ctx;
    uint64_t memory; /* bytes that it may take beside the rows, about; TOO_LARGE says how many it wants. 0: any. Lists
                      * make do with less by a smaller sample */
} hither_index_build_options;

/* Brings what the index is searched by up to its rows, and measures what recall costs. Rows are found from the moment
 * they are added: until they are built in they are searched exactly beside the rest. Nothing to do for HITHER_EXACT,
 * and for a few thousand rows. Searches, adds and removes go on meanwhile. options NULL: defaults. Errors: NOMEM,
 * INTERRUPTED, CORRUPT, TOO_LARGE; the index is then as it was. Any thread, one build at a time. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_index_build(hither_index *index,
                                                              const hither_index_build_options *options,
                                                              hither_error *err);
/* Measures again what recall costs, with some of the last queries beside rows of the index: one record whose metadata
 * is a JSON object with `effort` ("ef"), `own` and `asked` (queries measured with), and `curve`, a list of objects with
 * effort, visited, recall10 and recall100: rows a search compares, and the shares of the 10 and 100 nearest that it
 * finds, less one standard error. The curve of an index without a graph is empty. Errors: NOMEM, CORRUPT. Any thread.
 * Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_index_tune(hither_index *index, hither_result **out,
                                                             hither_error *err);

typedef struct hither_index_search_options {
    size_t size;
    hither_metric metric;  /* default the index's own */
    uint32_t threads;      /* 0: one for a single query, all cores for more */
    const uint64_t *allow; /* NULL: all. Bit i % 64 of word i / 64 allows label i; labels past allow_bits are not */
    uint64_t allow_bits;
    /* The share of the true answers that is enough, on average: 1 is exact. Default 1, and 0.95 of an index that is not
     * HITHER_EXACT, which finds out by itself what effort that takes. */
    double recall;
    uint32_t ef;     /* HNSW: candidates kept on the walk, in the place of a recall; others pass it over */
    uint32_t nprobe; /* IVF: lists to look into, in the place of a recall; others pass it over */
} hither_index_search_options;

/* The k nearest rows to each query, as hither_knn gives them. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_index_search(hither_index *index, const hither_matrix *queries,
                                                               uint32_t k, const hither_index_search_options *options,
                                                               int64_t *labels, float *distances, hither_error *err);
/* The same search as a result: one group a query, ids are the labels, and hither_result_plan says what ran: kind, rows,
 * plan ("full" or "codes"), bound (what let rows be ruled out: "rounding", "residual", or "standard error" where recall
 * is below 1), recall, rows_scanned, rows_rescored, bytes_read, threads, and stages, each with the rows it looked at
 * and those it kept for the next. Of an index that is not exact also: `walk`, an object with effort and expected
 * recall, rows visited, steps, rows rescored, and fallback (queries searched exactly after it); or `why` there was
 * none. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_index_explain(hither_index *index, const hither_matrix *queries,
                                                                uint32_t k, const hither_index_search_options *options,
                                                                hither_result **out, hither_error *err);

/* All rows whose distance to a query, as hither_index_search gives it, is at most `radius`, nearest first: one group a
 * query, ids are the labels, and hither_result_plan says what ran. Errors also: INVALID for a radius that is not a
 * number, or a recall: all are all. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_index_within(hither_index *index, const hither_matrix *queries,
                                                               float radius, const hither_index_search_options *options,
                                                               hither_result **out, hither_error *err);

/* The same over an array that is borrowed for the call: ids are its row numbers. Errors as of hither_knn, and INVALID
 * for a radius that is not a number, or a recall: it has no meaning here. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_within(const hither_matrix *base, const hither_matrix *queries,
                                                         float radius, const hither_knn_options *options,
                                                         hither_result **out, hither_error *err);

/* Writes a whole new file, synced, that takes the place of `path` only when it is complete. Errors: IO, FULL,
 * PERMISSION, CORRUPT (of the file the rows come from), NOMEM. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_index_save(hither_index *index, const char *path, hither_error *err);
/* Reads every byte of the index, mapped or not, and checks it. CORRUPT names the place. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_index_verify(hither_index *index, hither_error *err);
/* One record whose metadata is a JSON object: kind, dim, dtype, metric, rows, bytes_rows, bytes_extra, mapped,
 * borrowed. Of an index that is not exact also: built (rows in the graph), waiting, stray (removed ones still in it),
 * levels, links, bytes_built, and recall: what ef finds 0.9, 0.95, 0.99 and 0.999 of the 10 nearest, 0 where none that
 * was measured does. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_index_info(hither_index *index, hither_result **out,
                                                             hither_error *err);

/* ---------------------------------------------------------------- database */

typedef struct hither_db hither_db;

/* The files a database stands on. A table of your own (hither_db_options.io) puts one anywhere: an archive, a cipher, a
 * quota, another medium; hither_io_system is the operating system's, to stand one on. The same table is under
 * everything hither does, SQLite's files included.
 *
 * What every implementation keeps:
 *   - read_at and write_at move all the bytes or fail: a file that ends early is CORRUPT, EINTR is tried again;
 *   - sync returns once everything written to that file is durable, sync_folder the names in a folder. One that failed
 *     is never tried again: the database is given up;
 *   - map gives a read-only view that later write_at calls show through; it never reaches past the file's size, and
 *     nothing shrinks a file that is mapped;
 *   - an open file outlives its removal and its renaming;
 *   - lock is exclusive between handles and dies with its holder;
 *   - a failure is a hither_status with a message in err (which may be NULL): NOT_FOUND, EXISTS, BUSY (lock), FULL,
 *     PERMISSION, NOMEM, CORRUPT, IO for the rest.
 * Functions may be called by any thread, several at once on one file. The table and ctx outlive every handle on the
 * database. Since 0.1. */
typedef struct hither_io hither_io;
typedef struct hither_file {
    const hither_io *io; /* first in whatever an implementation makes of an open file */
} hither_file;

enum {
    HITHER_IO_WRITE = 1,     /* else read-only */
    HITHER_IO_CREATE = 2,    /* make it if missing */
    HITHER_IO_EXCLUSIVE = 4, /* with CREATE: EXISTS if it is there. Links are never followed for the last part */
    HITHER_IO_DELETE = 8     /* gone at close: for temporary files */
};

typedef enum hither_io_kind { HITHER_IO_ABSENT, HITHER_IO_FILE, HITHER_IO_FOLDER, HITHER_IO_OTHER } hither_io_kind;

/* An operation on one of SQLite's files, where SQLite reaches them by itself (sqlite_vfs). */
typedef enum hither_io_op {
    HITHER_OP_READ,
    HITHER_OP_WRITE,
    HITHER_OP_SYNC,
    HITHER_OP_TRUNCATE,
    HITHER_OP_DELETE,
    HITHER_OP_OPEN
} hither_io_op;

typedef struct hither_io_event {
    hither_io_op op;
    const char *path;
    uint64_t offset;
    const void *data; /* what is about to be written */
    size_t bytes;
} hither_io_event;

struct hither_io {
    size_t size; /* sizeof(hither_io) */
    void *ctx;
    /* The name of the SQLite VFS that reaches the same files ("unix"). NULL: SQLite goes through this table too; then a
     * database is open once at a time, and readers in other processes are not possible. */
    const char *sqlite_vfs;
    /* Shown SQLite's operations before they happen; a status other than OK makes the operation fail. NULL: not. */
    hither_status (*observe)(void *ctx, const hither_io_event *event);

    hither_status (*open)(void *ctx, const char *path, unsigned flags, hither_file **out, hither_error *err);
    void (*close)(hither_file *file);
    hither_status (*read_at)(hither_file *file, void *data, size_t bytes, uint64_t offset, hither_error *err);
    hither_status (*write_at)(hither_file *file, const void *data, size_t bytes, uint64_t offset, hither_error *err);
    hither_status (*file_size)(hither_file *file, uint64_t *out, hither_error *err);
    /* Sets the file's size; growing leaves zeros. */
    hither_status (*resize)(hither_file *file, uint64_t bytes, hither_error *err);
    /* Asks for space behind [offset, offset + bytes) so that writing there cannot run out; FULL if there is none, OK
     * where nothing can be promised. The size stays. */
    hither_status (*reserve)(hither_file *file, uint64_t offset, uint64_t bytes, hither_error *err);
    hither_status (*sync)(hither_file *file, hither_error *err);
    hither_status (*map)(hither_file *file, size_t bytes, const void **out, hither_error *err); /* from offset 0 */
    void (*unmap)(hither_file *file, const void *data, size_t bytes);
    hither_status (*lock)(hither_file *file, hither_error *err); /* BUSY names the holder; released by close */

    hither_status (*stat)(void *ctx, const char *path, hither_io_kind *kind, uint64_t *bytes, hither_error *err);
    hither_status (*make_folder)(void *ctx, const char *path, hither_error *err);            /* EXISTS */
    hither_status (*rename)(void *ctx, const char *from, const char *to, hither_error *err); /* replaces */
    hither_status (*remove)(void *ctx, const char *path, hither_error *err); /* a file, or an empty folder */
    hither_status (*sync_folder)(void *ctx, const char *path, hither_error *err);
    /* Calls each(arg, name, kind) for every entry but . and .., in no order; a status other than OK stops it. */
    hither_status (*list)(void *ctx, const char *path,
                          hither_status (*each)(void *arg, const char *name, hither_io_kind kind), void *arg,
                          hither_error *err);

    /* The rest may be NULL. Asks that bytes just written be on their way to the disk while the caller does other
     * things; a sync follows. It cannot fail: whatever goes wrong, that sync tells. */
    void (*start_sync)(hither_file *file, uint64_t offset, uint64_t bytes);
    /* Two numbers that no other file has while this one exists, for noticing that a name has come
     * to mean another file. */
    hither_status (*identity)(void *ctx, const char *path, uint64_t out[2], hither_error *err);
    /* The kind of network file system a path is on ("NFS"), or NULL: of none, or not known. */
    const char *(*network)(void *ctx, const char *path);
    /* Not 0 where reading a hole of a mapped file takes space, as on tmpfs: then compaction makes none. */
    int (*holes_cost)(void *ctx, const char *path);
    /* Makes a file at `path`, where there is none, of the bytes of an open one, without copying them: a file that parts
     * from the other where either is written (a reflink), or, if `sealed` says that nobody will write to it again,
     * another name of the same (a hard link). UNSUPPORTED where neither can be; nothing is there then. */
    hither_status (*share)(hither_file *from, const char *path, int sealed, hither_error *err);
    /* Asks that bytes of a mapped file be on their way into memory while the caller does other things. It cannot fail.
     */
    void (*want)(hither_file *file, uint64_t offset, uint64_t bytes);
};

/* The operating system's files. Lives as long as the process. Any thread. Since 0.1. */
HITHER_API const hither_io *hither_io_system(void);

enum {
    HITHER_OPEN_READONLY = 1, /* never writes; works beside a writer and follows its commits */
    HITHER_OPEN_EXISTING = 2, /* NOT_FOUND instead of making a new database */
    HITHER_OPEN_NETWORK = 4   /* even on a network file system, where locks and mapped files may not be what they are
                                 elsewhere: at your own risk, and never from two machines */
};

/* When a write is safe. FULL: an acknowledged write survives a power cut. MEMORY: it survives the end of the process,
 * kill -9 included; a power cut may lose or damage what was written since the last flush or close (verify tells).
 * RELAXED: an UPSERT returns once it is checked and queued; it is committed, and then seen by searches, in order and as
 * with FULL, relaxed_ms later at the latest, or by flush or close. A crash, kill -9 included, loses at most what is
 * queued: never a part of a batch, never one and not those after it. Other writes wait for the queue and themselves. If
 * the queue cannot be committed (no space), writes and flush say so until it can; what close cannot commit is lost. */
typedef enum hither_durability {
    HITHER_DURABILITY_FULL = 1,
    HITHER_DURABILITY_MEMORY = 2,
    HITHER_DURABILITY_RELAXED = 3
} hither_durability;

typedef struct hither_db_options {
    size_t size;
    uint32_t flags;               /* HITHER_OPEN_... */
    uint32_t busy_timeout_ms;     /* how long to wait for another writer to go away; default 0: not at all */
    hither_durability durability; /* default HITHER_DURABILITY_FULL; of writes through this handle */
    uint32_t relaxed_ms;          /* of RELAXED; default 100 */
    uint64_t flush_rows;   /* of RELAXED: so many queued rows are committed at once; default: the environment variable
                              HITHER_FLUSH_ROWS, or no such number */
    uint64_t buffer_bytes; /* vectors are written to segments in pieces of so many bytes, at most 1 GiB, at least one
                              row; default: the environment variable HITHER_BUFFER_SIZE, or 1 MiB */
    const hither_io *io;   /* default: hither_io_system(), or for ":memory:" files in memory */
} hither_db_options;

/* Opens the database folder at `path` (by convention NAME.hither), or makes it; ":memory:" is a private one in RAM
 * with the same surface; a file that hither_db_pack made is opened read-only. One process at a time may hold a
 * database open for writing. Errors: BUSY (names the holder's pid), NOT_FOUND, NOT_DATABASE, FORMAT, CORRUPT,
 * PERMISSION, READONLY, IO, FULL, NOMEM. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_db_open(const char *path, const hither_db_options *options,
                                                          hither_db **out, hither_error *err);
/* Drops this reference. Everything acknowledged is durable already, or (MEMORY, RELAXED) is now synced. Since 0.1. */
HITHER_API void hither_db_close(hither_db *db);

/* Returns once every acknowledged write is durable and seen (with HITHER_DURABILITY_FULL it was already), and folds the
 * write-ahead log into the catalog. Errors: IO, POISONED, FORKED. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_db_flush(hither_db *db, hither_error *err);

/* The collections by name, in byte order: ids are the names, metadata is one JSON object each with dim, dtype,
 * metric, id_kind, count, embedder, and fields (an array of objects with name, kind, dim, metric, most) and schema
 * where there are some. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_db_list(hither_db *db, hither_result **out, hither_error *err);

/* One record whose metadata is a JSON object: path, format, version, sqlite, readonly, durability, simd, bytes (of
 * catalog and of segments), cache_bytes, dead_bytes (vectors of dead rows, which compaction gives back), collections.
 * Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_db_info(hither_db *db, hither_result **out, hither_error *err);

/* Removes a collection and its rows; open handles on it get NOT_FOUND from then on. Rename keeps rows and handles.
 * Errors: NOT_FOUND, EXISTS (rename), INVALID (name), READONLY, IO, FULL, POISONED. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_db_drop(hither_db *db, const char *name, hither_error *err);
HITHER_API HITHER_MUST_CHECK hither_status hither_db_rename(hither_db *db, const char *from, const char *to,
                                                            hither_error *err);

/* Reads every committed byte and checks it: catalog pages and structure, segment headers, every row's checksums, that
 * catalog and segments agree, and, where nothing was found by then, that rows are as the schema of their collection
 * says (of each collection the first that is not). HITHER_OK when all is well, HITHER_CORRUPT when anything is not;
 * *report (may be NULL) then, and only then as well as on OK, holds one record a finding: ids are the places, documents
 * what is wrong there. The database stays usable. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_db_verify(hither_db *db, hither_result **report, hither_error *err);
/* The same without reading the rows: the log, every page of the catalog, headers and sizes of segments, and that
 * catalog and segments agree. Damaged vectors stay unnoticed. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_db_verify_fast(hither_db *db, hither_result **report,
                                                                 hither_error *err);

/* Gives the space of deleted and replaced rows back to the file system, of all collections; see docs/space.md for how
 * much. Readers and writers go on: a write waits for a slice of it at most. It needs free space for a copy of one
 * segment. A stop or a failure at any point leaves a sound database, and what was given back stays so. Rows that a
 * cursor of this process can still reach stay; a cursor of another process that comes too late gets STALE. Errors: BUSY
 * (another thread is at it), INTERRUPTED, READONLY, CORRUPT (names the place; what is damaged is not copied), FULL, IO,
 * POISONED, NOMEM. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_db_compact(hither_db *db, const hither_work_options *options,
                                                             hither_error *err);

/* Leaves no byte of a row that was deleted or replaced before the call in any file of the database's folder: segments
 * with dead rows are copied without them, the catalog is written anew, its log emptied, tmp/ and cache/ too. Backups,
 * and what the file system or the disk keeps of removed files, are out of its reach. It holds writers up while the
 * catalog is written anew, and needs free space for a copy of the catalog or of one segment. Errors: as
 * hither_db_compact; BUSY also where a cursor stands on an older version, or another process reads, for longer than
 * wait_ms: then some of it is left, and calling again goes on. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_db_purge(hither_db *db, const hither_work_options *options,
                                                           hither_error *err);

/* Makes a new database folder at `path`, a copy of the database as one commit left it: all of each batch or nothing of
 * it. Writers go on meanwhile and do not wait. Every byte of the copy has been checked and is durable before the folder
 * gets its name; on failure there is no such folder, and a process that dies half-way leaves at most PATH.partial-...,
 * which may be removed. The copy is a database like any other; copied back (open it read-only, back it up) it is a
 * restored one. A database in memory is copied to disk. Errors: EXISTS, INVALID (inside the database's own folder),
 * CORRUPT (names the place), IO, FULL, PERMISSION, NOMEM. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_db_backup(hither_db *db, const char *path, hither_error *err);

/* Makes one file at `path` (by convention NAME.pack) of the database's live rows, as one commit left them, in their
 * order of writing: a database that opens by itself and is only read, by any number of processes and threads, straight
 * from the file. Whatever opens a database opens it: hither_db_open then opens it read-only, whatever its flags, writes
 * are READONLY, hither_db_backup makes a folder of it. Writers go on meanwhile and do not wait. Every byte has been
 * checked and is durable before the file gets its name; until then it lies in a folder PATH.partial-... beside it,
 * which takes about twice its size, and which may be removed where a process died half-way. A database in memory is
 * packed to disk. Errors: as hither_db_backup. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_db_pack(hither_db *db, const char *path, hither_error *err);

/* Makes a new database folder at `to` of what is sound in the one at `path`, which is only read: every row whose
 * vector, id, metadata and document fit their checksums, in order of writing. OK when the folder was made, whatever was
 * lost; *report (may be NULL) then holds one record a finding, as hither_db_verify's: no records, nothing lost. CORRUPT
 * when the catalog is so damaged that it cannot be opened: then no folder is made. Collections with an embedder keep
 * it. Errors: EXISTS, NOT_FOUND, NOT_DATABASE, FORMAT, CORRUPT, IO, FULL, PERMISSION, NOMEM. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_db_repair(const char *path, const char *to, hither_result **report,
                                                            hither_error *err);

/* ---------------------------------------------------------------- collection */

typedef struct hither_collection hither_collection;

enum {
    HITHER_COLLECTION_EXISTING = 1, /* NOT_FOUND instead of creating */
    HITHER_COLLECTION_NEW = 2       /* EXISTS instead of opening */
};

typedef struct hither_collection_options {
    size_t size;
    uint32_t flags;            /* HITHER_COLLECTION_... */
    uint32_t dim;              /* needed to create, unless embedder says it; if given for an old one it must agree */
    hither_dtype dtype;        /* default HITHER_F32, today's only one */
    hither_metric metric;      /* default HITHER_COSINE; COSINE, DOT, L2, L1 */
    hither_embedder *embedder; /* turns texts into vectors; its name is stored and checked. An old collection made with
                                  the built-in embedder finds it by itself */
    const char *schema; /* what rows must be like, see hither_collection_set_schema; NUL-terminated. Default: anything
                           goes. If given for an old collection it must agree */
    const hither_field *fields; /* vector fields that rows may have beside their own vectors, said when the collection
                                   is made; docs/vectors.md. If given for an old one they must agree */
    size_t field_count;         /* at most HITHER_MAX_FIELDS */
} hither_collection_options;

/* Opens the named collection, or creates it. Names are 1...HITHER_MAX_NAME_BYTES bytes of UTF-8 without control
 * characters or '/'. Errors: NOT_FOUND, EXISTS, DIMENSION, INVALID (name, metric), MODEL (another embedder), READONLY,
 * IO, FULL. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_collection_open(hither_db *db, const char *name,
                                                                  const hither_collection_options *options,
                                                                  hither_collection **out, hither_error *err);
HITHER_API void hither_collection_close(hither_collection *c);

/* hither_db_compact of one collection. Errors also: NOT_FOUND (dropped). Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_collection_compact(hither_collection *c,
                                                                     const hither_work_options *options,
                                                                     hither_error *err);

/* Rows that end by themselves. A row says when in its metadata: "_expires", a number, in seconds since 1970. A
 * collection that looks at it has a lifetime, 1...HITHER_MAX_TTL seconds: what rows inserted or upserted from now on
 * get that do not say; or 0: rows that do not say live for ever; or HITHER_TTL_OFF, as new collections have it: nobody
 * looks. Stored with the collection. From its moment on, by this machine's clock, a row is in no search, get, count,
 * scan or other answer, its id is free to be inserted and not there to be updated; hither_collection_info still counts
 * it until it is removed. Errors: INVALID, READONLY, NOT_FOUND, IO, FULL, POISONED. Any thread. Since 0.1. */
enum { HITHER_TTL_OFF = -1, HITHER_MAX_TTL = 1000000000 /* seconds: 31 years */ };
HITHER_API HITHER_MUST_CHECK hither_status hither_collection_set_ttl(hither_collection *c, int64_t seconds,
                                                                     hither_error *err);
/* Deletes the rows that have expired, as compaction and purge do too; *deleted may be NULL. Errors as
 * hither_collection_delete. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_collection_expire(hither_collection *c, size_t *deleted,
                                                                    hither_error *err);

/* What rows must be like, from now on: metadata fields (paths as in filters) with a type, of which some are required
 * and some unique; NULL: anything goes again. A JSON object, NUL-terminated:
 *
 *   {"fields": {"year": "int", "tags": "string[]", "mail": {"type": "string", "required": true, "unique": true}},
 *    "closed": true}
 *
 * Types are any, bool, int, float (any number), string, and arrays of one: "int[]". A field that is null counts as
 * missing. No two rows have the same value in a unique field. Other fields are free, unless the schema is closed.
 * Stored with the collection. Rows that are there must fit: INVALID, or EXISTS for a value that stands twice, names one
 * that does not, and nothing is changed. Writes that do not fit fail so too and name row and field. Under RELAXED,
 * upserts to a collection with a schema wait for their commit. Errors also: SYNTAX, ENCODING, TOO_LARGE, READONLY,
 * NOT_FOUND, CORRUPT, IO, FULL, POISONED, NOMEM. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_collection_set_schema(hither_collection *c, const char *schema,
                                                                        hither_error *err);

/* Moves the collection to another embedder: every row gets the vector that it makes of the row's document, and the
 * collection its dimension and name. Searches and writes go on meanwhile, by the old one; then, at one moment, all rows
 * are the new one's: no answer mixes them. Handles of this process embed texts by it from then on; those of others have
 * to open the collection anew, with it. Vector fields stay as they are. A stop or a failure leaves everything as it
 * was. It needs space for the new vectors beside the old ones. options may be NULL. Errors: INVALID (a row without a
 * document: the message names it), BUSY (another one, or compaction, is at work), MODEL, INTERRUPTED, READONLY,
 * TOO_LARGE, CORRUPT, FULL, IO, POISONED, NOMEM. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_collection_reembed(hither_collection *c, hither_embedder *embedder,
                                                                     const hither_work_options *options,
                                                                     hither_error *err);

/* As one record of hither_db_list. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_collection_info(hither_collection *c, hither_result **out,
                                                                  hither_error *err);

/* Gives the collection an index of options->kind, made of the rows there are before this returns; HITHER_EXACT takes it
 * away. options->dim, dtype and metric are the collection's and stay 0. It is a cache beside the rows: searches and
 * writes go on meanwhile; rows that come later are searched exactly beside it until a thread of the library has built
 * them in; it is kept on disk, and made anew where that is lost. A search uses it where it costs less than an exact
 * one, for k up to 1,000; its plan says so. work may be NULL. Errors: INVALID, UNSUPPORTED (the metric), READONLY,
 * INTERRUPTED (the wish stays, and is granted later), CORRUPT, NOMEM, FULL, IO, POISONED. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_collection_create_index(hither_collection *c,
                                                                          const hither_index_options *options,
                                                                          const hither_work_options *work,
                                                                          hither_error *err);

typedef enum hither_mode {
    HITHER_INSERT = 1, /* EXISTS if any id is known, or stands twice in the batch; nothing changed */
    HITHER_UPSERT = 2, /* replaces the whole row; of an id that stands twice the last wins */
    HITHER_UPDATE = 3  /* NOT_FOUND if any id is unknown; parts not given stay, metadata keys are merged in */
} hither_mode;

/* Rows to write. Each column given has ids.count entries; a column with count (or rows) 0 is not given. Rows need a
 * vector, or a document to embed (an update may leave both out). Metadata is a JSON object a row, stored as given. */
typedef struct hither_batch {
    size_t size;
    hither_ids ids;
    hither_matrix vectors; /* f32 or f64, converted to the collection's dtype */
    hither_strings metadata, documents;
    hither_strings remove;     /* UPDATE: keys (of the top level, none missing) that all rows lose from their metadata,
                                  before the batch's own metadata is merged in. Of any number, whatever ids.count is */
    const hither_named *named; /* columns of vector fields, each with ids.count rows. A row that is not there, or in a
                                  field without a column, has nothing in it; UPDATE: keeps what it has */
    size_t named_count;
} hither_batch;

/* Writes the batch as one transaction: visible and durable (see hither_durability) as a whole when the call returns, or
 * not at all. Writers that wait at the same time share one sync.
 * *written (may be NULL) is the number of rows in force after it. Errors name the row: DIMENSION, NOT_FINITE,
 * ENCODING, SYNTAX, TOO_LARGE, EXISTS, NOT_FOUND, INVALID; then READONLY, FULL, IO, POISONED, NOMEM.
 * Any thread; writers queue. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_collection_put(hither_collection *c, hither_mode mode,
                                                                 const hither_batch *batch, size_t *written,
                                                                 hither_error *err);

/* A filter, called `where` below, is a JSON object of conditions on a row's metadata and document, NUL-terminated:
 *
 *   {"lang": "en", "stars": {"$gte": 3}, "$or": [{"tags": {"$in": ["a", "b"]}}, {"$document": {"$contains": "x"}}]}
 *
 * docs/filters.md says what each condition means. NULL is no filter: all rows. What is stored never causes an error; a
 * filter that makes no sense is INVALID, and the message names the place in it. Further errors: SYNTAX, ENCODING,
 * TOO_LARGE (HITHER_MAX_WHERE_...), CORRUPT, NOMEM. */

/* Deletes rows as one transaction: those with these ids that match `where`; ids NULL: all that match. Unknown ids are
 * passed over. INVALID where both are NULL. *deleted may be NULL. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_collection_delete(hither_collection *c, const hither_ids *ids,
                                                                    const char *where, size_t *deleted,
                                                                    hither_error *err);

/* The number of rows that match. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_collection_count(hither_collection *c, const char *where,
                                                                   uint64_t *out, hither_error *err);

/* The rows with these ids that match, in the order asked; others are left out, so compare the result's ids. include: 0
 * means metadata and documents. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_collection_get(hither_collection *c, const hither_ids *ids,
                                                                 const char *where, uint32_t include,
                                                                 hither_result **out, hither_error *err);

/* How a hybrid search makes one order of two; docs/keyword.md has the formulas. */
typedef enum hither_fusion {
    HITHER_RRF = 1,     /* by the ranks in both */
    HITHER_WEIGHTED = 2 /* by distances and scores, each scaled to 0...1 */
} hither_fusion;

typedef struct hither_search_options {
    size_t size;
    uint32_t include;          /* default metadata and documents */
    uint32_t threads;          /* 0: one for a single query, all cores for more */
    const char *where;         /* default NULL: all rows */
    const float *max_distance; /* default NULL: however far; else only hits at most this far */
    const char *group_by;      /* a metadata field (a path as in filters): the k best groups instead of the k best rows,
                                  each with its group_size nearest rows, best group first. Rows in which it is no
                                  string, number or bool are in no group, and no hits. Default NULL: none */
    uint32_t group_size;       /* default 1; k * group_size is at most HITHER_MAX_K */
    uint32_t candidates;       /* of a diverse search: the rows to choose from; of a hybrid one, those each half brings;
                                  default 4 * k, at least 64 */
    double diversity;          /* 0...1: of the nearest `candidates` rows, k that are near the query and unlike one
                                  another (docs/search.md has the rule). Default 0: the k nearest. Not with group_by */
    hither_fusion fusion;      /* of a hybrid search; default HITHER_RRF */
    double vector_weight;      /* of a hybrid search: the share of the vectors, between 0 and 1; default 0.5 */
    double recall;   /* of a collection with an index: the share of the true answers that is enough, on average;
                        1 is exact. Default 0.95. Without an index every search is exact */
    uint32_t ef;     /* of one with HITHER_HNSW: candidates kept on the walk, in the place of a recall */
    uint32_t nprobe; /* of one with HITHER_IVF: lists to look into, in the place of a recall. Since 0.1 */
} hither_search_options;

/* One of the first three: vectors (f32 or f64 rows), texts (embedded by the collection's embedder), or ids of rows
 * whose vectors are the queries (the row itself may be among its hits); or keywords: words, "phrases", begin*, +must,
 * -not (docs/keyword.md), ranked by BM25 over the documents. Keywords beside one of the three, as many, are a hybrid
 * search: both are asked and fused into one order. */
typedef struct hither_query {
    size_t size;
    hither_matrix vectors;
    hither_strings texts;
    hither_ids ids;
    hither_strings keywords;
    const char *field; /* vectors, texts and ids: the DENSE vector field to search; default NULL: rows' own vectors.
                          Rows that have none in it are no hits. `ids` are searched by their vectors in that field */
    const hither_named *named; /* queries of a vector field of any kind, a row each (a MULTI query may have any number
                                  of vectors). Alone; or beside vectors or texts, or keywords, or both, as many: then
                                  all of them are asked and fused. Default NULL: none */
} hither_query;

/* The k nearest rows to each query, nearest first, ties in order of writing; exactly min(k, rows that match `where`) of
 * them. One group a query. Sees every write that had returned before the call. Never waits for a writer.
 *
 * By keywords alone: the k best of the rows that match query and `where`, best first; distances are NaN. Hybrid: the k
 * best of the rows that match `where`, exactly min(k, those), with the distance of each. Both have
 * hither_result_scores, break ties in order of writing, and take no max_distance, group_by or diversity.
 * Errors: INVALID (k = 0; no query, or several kinds), TOO_LARGE (also more than HITHER_MAX_KEYWORDS words), DIMENSION,
 * NOT_FINITE, ENCODING, MODEL (texts without an embedder), NOT_FOUND (an id), CORRUPT, NOMEM. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_collection_search(hither_collection *c, const hither_query *query,
                                                                    uint32_t k, const hither_search_options *options,
                                                                    hither_result **out, hither_error *err);

/* All rows whose distance to a query is at most `radius`, nearest first, of those that match `where`: one group a
 * query. TOO_LARGE for more than HITHER_MAX_ROWS of them in all. max_distance, group_by and diversity are not for this
 * call. Otherwise as hither_collection_search; INVALID also for a radius that is NaN. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_collection_within(hither_collection *c, const hither_query *query,
                                                                    float radius, const hither_search_options *options,
                                                                    hither_result **out, hither_error *err);

/* How examples are weighed; docs/search.md has the rules. */
typedef enum hither_strategy {
    HITHER_AVERAGE = 1, /* near the mean of the positive ones, away from that of the negative ones */
    HITHER_BEST = 2     /* nearer to some positive one than to any negative one */
} hither_strategy;

typedef struct hither_examples {
    size_t size;
    hither_ids positive, negative; /* rows; either may be empty, but AVERAGE needs a positive one */
    hither_strategy strategy;      /* default HITHER_AVERAGE */
    const char *field;             /* the DENSE vector field to go by; default NULL: rows' own vectors */
} hither_examples;

/* Up to k rows like the positive and unlike the negative examples, which are not among them; exactly min(k, others that
 * match). Takes all options of a search but group_by and diversity. Errors: INVALID, TOO_LARGE (also more than
 * HITHER_MAX_K examples), NOT_FOUND (an id), NOT_FINITE, CORRUPT, NOMEM. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_collection_recommend(hither_collection *c,
                                                                       const hither_examples *examples, uint32_t k,
                                                                       const hither_search_options *options,
                                                                       hither_result **out, hither_error *err);

/* ---------------------------------------------------------------- pages and facets */

typedef struct hither_page_options {
    size_t size;
    const char *where;    /* default NULL: all rows */
    const char *order_by; /* a metadata field (a path as in filters): rows by its value: false, true, numbers, strings
                             by their bytes, and last, in order of writing, those where it is none of these. Equal ones
                             in order of writing. Default NULL: order of writing */
    uint32_t descending;  /* 1: largest first (those without a value stay last); needs order_by */
    uint32_t include;     /* default metadata and documents */
    uint32_t limit;       /* rows of a page; default 100, at most HITHER_MAX_PAGE */
    uint64_t offset;      /* rows to pass over first; not with `after` */
    const char *after;    /* the token of the page before: go on behind it */
} hither_page_options;

/* A page of the rows that match. Where there are more, hither_result_next is the token to go on with: text that may be
 * kept, handed out, and used by another process after a restart. The pages of one listing together are the rows as they
 * were when its first page was made, each once, whatever is written meanwhile. The other options must be the same each
 * time (limit and include may change). Errors: INVALID (no such token, or one of another listing), STALE (that version
 * is gone: compaction has taken rows of it, or the collection was dropped), TOO_LARGE, CORRUPT, NOMEM. Any thread.
 * Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_collection_page(hither_collection *c,
                                                                  const hither_page_options *options,
                                                                  hither_result **out, hither_error *err);

/* How often each value of a metadata field (a path as in filters) stands in the rows that match: one record a value
 * whose metadata is {"value": ..., "count": ...}, most frequent first, at most `limit` (default 100). Values are
 * strings, numbers and bools; a row with an array counts once for each of those in it. hither_result_plan has
 * rows_matched, rows_with_value, and values, the number of distinct ones. Errors: INVALID (the path), TOO_LARGE,
 * CORRUPT, NOMEM. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_collection_facets(hither_collection *c, const char *field,
                                                                    const char *where, uint32_t limit,
                                                                    hither_result **out, hither_error *err);

/* ---------------------------------------------------------------- cursor: all rows of one version */

typedef struct hither_cursor hither_cursor;

/* A cursor over the rows that match as they are now, in order of writing; later writes do not touch it. include as in
 * get. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_collection_scan(hither_collection *c, const char *where,
                                                                  uint32_t include, hither_cursor **out,
                                                                  hither_error *err);
/* A search that goes on: a cursor over the rows that match as they are now, the nearest to one query (a vector or a
 * text) first, each with its distance. hither_cursor_next gives the nearest `limit` of those that were not given yet,
 * at most HITHER_MAX_K at a time; later writes do not touch it, and no row comes twice. Of options where, include,
 * max_distance, threads, recall, ef and nprobe count; with a recall below 1 a row that one step missed may come in a
 * later one, behind rows that are farther. Errors as of hither_collection_search. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_collection_search_on(hither_collection *c, const hither_query *query,
                                                                       const hither_search_options *options,
                                                                       hither_cursor **out, hither_error *err);
/* Up to `limit` (> 0) further rows; a result of 0 rows is the end. One thread at a time. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_cursor_next(hither_cursor *cursor, size_t limit, hither_result **out,
                                                              hither_error *err);
HITHER_API void hither_cursor_close(hither_cursor *cursor);

/* ---------------------------------------------------------------- jobs: long work on a thread of the library's */

/* A piece of work that goes on by itself: it can be watched, stopped, waited for, and polled for. It stands on handles
 * of its own: the database, collection or index it was begun on may be closed meanwhile. A job belongs to the process
 * that began it: in a forked child every call on it but hither_job_free returns HITHER_FORKED. */
typedef struct hither_job hither_job;

typedef struct hither_job_options {
    size_t size;
    /* Called once, on the job's thread, when all is over and hither_job_result would not wait. It may free the job.
     * Default NULL: nobody. */
    void (*ended)(void *ctx, hither_job *job);
    void *ctx;
    uint32_t wait_ms; /* of a purge: as in hither_work_options */
} hither_job_options;

/* Each begins what the call of the same name does and returns at once; *out is the caller's. Strings are copied;
 * matrices, columns and what options point to stay the caller's and must not change until the job has ended. Errors of
 * the work itself come with hither_job_result. Errors here: INVALID, NOMEM, IO (no thread could be made). Any thread.
 * Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_job_compact(hither_db *db, const hither_job_options *options,
                                                              hither_job **out, hither_error *err);
HITHER_API HITHER_MUST_CHECK hither_status hither_job_purge(hither_db *db, const hither_job_options *options,
                                                            hither_job **out, hither_error *err);
/* Its result is the report, also with HITHER_CORRUPT. */
HITHER_API HITHER_MUST_CHECK hither_status hither_job_verify(hither_db *db, const hither_job_options *options,
                                                             hither_job **out, hither_error *err);
HITHER_API HITHER_MUST_CHECK hither_status hither_job_backup(hither_db *db, const char *path,
                                                             const hither_job_options *options, hither_job **out,
                                                             hither_error *err);
/* Its result is the report. */
HITHER_API HITHER_MUST_CHECK hither_status hither_job_repair(const char *path, const char *to,
                                                             const hither_job_options *options, hither_job **out,
                                                             hither_error *err);
HITHER_API HITHER_MUST_CHECK hither_status hither_job_reembed(hither_collection *c, hither_embedder *embedder,
                                                              const hither_job_options *options, hither_job **out,
                                                              hither_error *err);
/* Its result is that of the search. A search that has begun is not stopped by hither_job_cancel. */
HITHER_API HITHER_MUST_CHECK hither_status hither_job_search(hither_collection *c, const hither_query *query,
                                                             uint32_t k, const hither_search_options *search_options,
                                                             const hither_job_options *options, hither_job **out,
                                                             hither_error *err);
/* hither_collection_put: all rows or none. Cancelled before it begins to write it ends with INTERRUPTED, and nothing is
 * written; later it is not stopped. */
HITHER_API HITHER_MUST_CHECK hither_status hither_job_put(hither_collection *c, hither_mode mode,
                                                          const hither_batch *batch, const hither_job_options *options,
                                                          hither_job **out, hither_error *err);
/* hither_index_add; its result has the labels as ids. Rows that are being added are not stopped either. */
HITHER_API HITHER_MUST_CHECK hither_status hither_job_add(hither_index *index, const hither_matrix *rows,
                                                          const int64_t *labels, const hither_job_options *options,
                                                          hither_job **out, hither_error *err);

/* hither_index_build on so many threads (0: all cores). Its progress counts as that call's `step` does. */
HITHER_API HITHER_MUST_CHECK hither_status hither_job_build(hither_index *index, uint32_t threads,
                                                            const hither_job_options *options, hither_job **out,
                                                            hither_error *err);

/* How far a job is. total may rise while it runs, and is 0 where nothing is known of it. */
typedef struct hither_progress {
    size_t size;
    uint64_t done, total;
    const char *phase; /* what it is at, in a word or two; lives for good */
    uint32_t ended;    /* 1: it is over, well or not */
} hither_progress;

/* out->size must be sizeof(hither_progress). Errors: INVALID, FORKED. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_job_progress(hither_job *job, hither_progress *out,
                                                               hither_error *err);
/* Asks the job to stop, and does not wait: it ends with INTERRUPTED soon, if it has not ended well before. The database
 * is sound, of a backup or a repair nothing is left, and what compaction has given back stays so. Errors: INVALID,
 * FORKED. Any thread. Since 0.1. */
HITHER_API hither_status hither_job_cancel(hither_job *job, hither_error *err);
/* OK once the job has ended, well or not; TIMEOUT if that takes longer than timeout_ms (below 0: however long). Errors:
 * also INVALID, FORKED. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_job_wait(hither_job *job, int64_t timeout_ms, hither_error *err);
/* A file descriptor that is readable from the end of the job on, for poll and the like. It is the job's: do not read
 * it or close it. Errors: INVALID, FORKED, IO. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_job_fd(hither_job *job, int *fd, hither_error *err);
/* Waits for the end; the status and the error are those of the work. *out (may be NULL) is its result, NULL if it has
 * none, and the caller's from then on: it is given once, INVALID after. Errors: also FORKED. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_job_result(hither_job *job, hither_result **out, hither_error *err);
/* Cancels the job if it runs, waits for its end, and lets go of it; from `ended` it does not wait. A result that was
 * taken stays. No other call on the job may be under way or follow. */
HITHER_API void hither_job_free(hither_job *job);

/* ---------------------------------------------------------------- window: the newest records of a stream */

typedef struct hither_window hither_window;

typedef struct hither_window_options {
    size_t size;
    uint32_t capacity;         /* records kept; default 16384, at most 2^24 */
    hither_embedder *embedder; /* for texts; default the built-in one, or none where dim is given */
    uint32_t dim;              /* dimensions; default the embedder's, which it must not contradict */
    uint32_t no_centroid;      /* 1: no centroid score (it is NaN), so pushing costs less */
    uint64_t age_ms;           /* records older than this leave too; default: however old */
    double alarm_rate;         /* share of records to call alarms, up to 1; default: none are */
    uint64_t alarm_after;      /* records to learn from before the first alarm; default 0 */
    uint32_t alarm_below;      /* only forms with fewer records than this can be alarms; default 2 */
    double alarms_per_day; /* instead of alarm_rate: so many alarms in 24 hours of the records' times, or the clock */
    double half_life;      /* the centroid forgets: a record counts half after so many; default: all alike */
    /* A user's own mask rules, tried before the built-in ones (docs/watch.md): one a line, NAME PATTERN, '#' begins a
     * comment. NUL-terminated; copied; default: none. */
    const char *rules;
    /* 1: records are not compared with others: no novelty (NaN) and no alarms, and pushes from any number of threads
     * run side by side, without a lock. Then half_life, and an age with a centroid, are UNSUPPORTED. */
    uint32_t no_novelty;
    uint32_t slack;   /* records that may come while a search runs; default a sixteenth of the capacity or 1024 */
    uint32_t wait_ms; /* how long a push waits for searches when those are used up, before it is BUSY; default 0 */
} hither_window_options;

/* What a record was worth when it came, judged by the window before it. */
/* The level that a line states itself, as in "ERROR", "[warn]", "level=fatal" or "<3>": not a judgement. */
typedef enum hither_level {
    HITHER_LEVEL_NONE = 0, /* it states none */
    HITHER_LEVEL_TRACE,
    HITHER_LEVEL_DEBUG,
    HITHER_LEVEL_INFO,
    HITHER_LEVEL_WARNING,
    HITHER_LEVEL_ERROR,
    HITHER_LEVEL_FATAL
} hither_level;
/* "fatal", "error", "warning", "info", "debug" or "trace"; NULL for any other number. Since 0.1. */
HITHER_API const char *hither_level_name(uint32_t level);

typedef struct hither_score {
    float novelty;    /* rarity + 2 * distance: near 0 for the common forms, larger is newer */
    float rarity;     /* how rare the masked form is: -log of its share of the window, scaled to [0, 1] */
    float distance;   /* cosine distance to the nearest other form, 0 when the form itself is in the window */
    float centroid;   /* cosine similarity to the mean of the window, 1 for the first record */
    uint32_t seen;    /* records of the same form in the window before it */
    uint32_t alarm;   /* 1: an alarm; 2: none, but its form was one since it came into the window; 0: none */
    uint64_t record;  /* this record's number, counted from 0 */
    uint64_t nearest; /* number of the nearest record of another form; UINT64_MAX if there is none */
    uint64_t form;  /* the same for all records of its form, and no other's, as long as the window holds one of them */
    float severity; /* how rare records of its level or above are in the window, [0, 1] as rarity; 0 below a warning */
    uint32_t level; /* hither_level of its text; HITHER_LEVEL_NONE with no_novelty */
} hither_score;

/* A window of texts or vectors, in RAM only. Errors: INVALID (rules: the message names the line), DIMENSION, ENCODING,
 * TOO_LARGE, NOMEM. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_window_new(const hither_window_options *options, hither_window **out,
                                                             hither_error *err);
HITHER_API void hither_window_close(hither_window *w);

/* Scores each text against the window before it, then takes it in; scores (texts->count, the caller's) may be NULL.
 * The variable parts of a text (numbers, hex, addresses, times, ...) are masked before it is compared. Invalid UTF-8 is
 * taken as U+FFFD: a log must go on. Errors: NOMEM, TOO_LARGE, MODEL (no embedder). Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_window_push(hither_window *w, const hither_strings *texts,
                                                              hither_score *scores, hither_error *err);

/* Records with more than a text. Vectors (f32 or f64 rows) stand for themselves: the form of such a record is its
 * vector, equal vectors being one form, and its text, if any, is only kept. Without vectors the texts are pushed as
 * hither_window_push does. times_ms, one a record, in milliseconds from any moment, are what age_ms goes by: a record
 * leaves when it is older than that against the latest time so far, and none counts as older than the one before it.
 * alarms_per_day goes by them too. Without times, both go by the machine's monotonic clock; a window with the one or
 * the other has times for all records or for none. */
typedef struct hither_window_rows {
    size_t size;
    hither_matrix vectors;
    hither_strings texts;
    const int64_t *times_ms;
    hither_strings metadata; /* JSON objects of at most 4096 bytes, kept beside; default: none */
} hither_window_rows;

/* As hither_window_push. Errors: also INVALID, DIMENSION, NOT_FINITE, SYNTAX, ENCODING (nothing is taken then), BUSY
 * (searches still stand on all spare places of the window, after wait_ms), READONLY (a snapshot). After a failure
 * the rows whose score has a record other than UINT64_MAX are in. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_window_push_rows(hither_window *w, const hither_window_rows *rows,
                                                                   hither_score *scores, hither_error *err);

/* Standing queries: texts or vectors, each with a radius. A record matches those whose cosine distance from it is at
 * most that. */
typedef struct hither_window_queries {
    size_t size;
    hither_strings texts; /* masked as records are; or */
    hither_matrix vectors;
    const float *radius; /* one a query */
    /* 1: only a record whose form is not in the window is held against them, not the next of its form. UNSUPPORTED for
     * a window with no_novelty, which knows no forms. Default 0: each record is. */
    uint32_t first_only;
} hither_window_queries;

/* From now on records pushed by hither_window_push_matched are held against these queries instead of those before; none
 * at all takes them away. At most 100,000. All is copied; neither snapshots nor saved windows have them. Errors:
 * INVALID (texts and vectors; a radius that is NaN), TOO_LARGE, DIMENSION, NOT_FINITE, MODEL (texts without an
 * embedder), NOMEM, UNSUPPORTED, READONLY (a snapshot). Any thread; pushes wait a moment. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_window_queries_set(hither_window *w,
                                                                     const hither_window_queries *queries,
                                                                     hither_error *err);

/* hither_window_push_rows, and which standing queries the records match: a group a record, with the numbers of the
 * queries, counted from 0, as ids and their distances, nearest first, ties by number. Exactly those that match: all
 * queries are looked at in one pass, which up to 64 records of a push share. scores may be NULL. *matches is the
 * caller's, hither_result_free; on failure NULL. Errors: as hither_window_push_rows. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_window_push_matched(hither_window *w, const hither_window_rows *rows,
                                                                      hither_score *scores, hither_result **matches,
                                                                      hither_error *err);

/* The texts of records by number, as documents with their numbers as ids; records that left the window are left out.
 * Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_window_get(hither_window *w, const uint64_t *records, size_t count,
                                                             hither_result **out, hither_error *err);

/* The k records of the window nearest to each query by cosine distance, nearest first, ties in order of coming; exactly
 * min(k, records) of them, with documents, and their numbers as ids. One group a query. A query's text is masked as the
 * records are. Errors: INVALID (k = 0; no query, or ids), TOO_LARGE, DIMENSION, NOT_FINITE, MODEL (texts without an
 * embedder), NOMEM. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_window_search(hither_window *w, const hither_query *query, uint32_t k,
                                                                hither_result **out, hither_error *err);

typedef struct hither_window_find_options {
    size_t size;
    uint32_t k;      /* how many; default 10. Not with within */
    uint32_t within; /* 1: all records whose distance is at most `radius` instead */
    float radius;
    const char *where; /* only records whose metadata and document match, as in a collection; default: all */
    int64_t since_ms;  /* only records whose time (times_ms; else the monotonic clock's) is no less; default 0: all */
    int64_t until_ms;  /* and no more than this; default 0: all */
} hither_window_find_options;

/* hither_window_search with more to say; results have metadata too. Errors: also INVALID and SYNTAX of `where`, INVALID
 * (k and within; a radius that is NaN). Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_window_find(hither_window *w, const hither_query *query,
                                                              const hither_window_find_options *options,
                                                              hither_result **out, hither_error *err);

/* The window as it is now, as a window of its own that stays so: it can be searched, asked and saved, and pushing is
 * READONLY. It is a copy, which no push waits for. Errors: INVALID, NOMEM. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_window_snapshot(hither_window *w, hither_window **out,
                                                                  hither_error *err);

/* The mean of the records' vectors, each scaled to length 1 before; zeros for an empty window. mean is the caller's and
 * has dim floats, which must be the window's. Errors: INVALID, DIMENSION. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_window_centroid(hither_window *w, float *mean, size_t dim,
                                                                  hither_error *err);

/* The n records with the least cosine similarity to the centroid, farthest first, ties in order of coming, of those
 * whose similarity is less than `below` (2: all). Distances are to the centroid. Errors: INVALID (n = 0; below is NaN),
 * TOO_LARGE, NOMEM. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_window_outliers(hither_window *w, uint32_t n, double below,
                                                                  hither_result **out, hither_error *err);

/* Why a record scored as it did: one record, its number as id, the text of the nearest other form as document (missing
 * if there is none or it left), and as metadata a JSON object: "reason" ("new form", "rare" or "known"), "novelty",
 * "rarity", "distance", "centroid", "severity" (null where there is none), "level" (its name or null),
 * "seen", "record", "nearest" (a number or null), "form" and "nearest_form" (masked texts, null for vectors and for
 * records that left), "added" and "removed" (the words of the form that the nearest one lacks, and the other way round;
 * arrays, there if both forms are). score: as push gave it. Errors: INVALID, NOMEM. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_window_explain(hither_window *w, const hither_score *score,
                                                                 hither_result **out, hither_error *err);

/* Writes the window into one file, whole or not at all: records, forms, counts, the alarms' threshold and the rules, so
 * that hither_window_open goes on as if nothing had happened. Pushes wait meanwhile. Errors: INVALID, IO, FULL,
 * PERMISSION, NOT_FOUND (the folder), NOMEM. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_window_save(hither_window *w, const char *path, hither_error *err);

/* A window as it was saved. What `options` (may be NULL) leaves at 0 or NULL is as saved; a smaller capacity keeps the
 * newest. The embedder must be the one of then (MODEL), rules that are given the same (INVALID). Ages go on by the wall
 * clock where they went by the machine's. Errors: also NOT_FOUND, NOT_DATABASE, FORMAT, CORRUPT, IO, DIMENSION, NOMEM.
 * Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_window_open(const char *path, const hither_window_options *options,
                                                              hither_window **out, hither_error *err);

/* One record whose metadata says what the window is: capacity, dim, records (in it), forms (distinct ones among them),
 * pushed (records ever), busy (pushes that failed so). Errors: INVALID, NOMEM. Any thread. Since 0.1. */
HITHER_API HITHER_MUST_CHECK hither_status hither_window_info(hither_window *w, hither_result **out, hither_error *err);

#ifdef __cplusplus
}
#endif
#endif

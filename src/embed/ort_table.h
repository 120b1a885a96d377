/*
 * ort_table.h: the part of ONNX Runtime's function table that is used, declared by us; inside src/embed/ only. Its
 * table is a struct of function pointers that only ever grows at its end: a slot keeps its number for good. Each of
 * these is called by tests/python/test_onnxruntime.py, since a wrong number is a crash, not an error.
 */
#ifndef HT_EMBED_ORT_TABLE_H
#define HT_EMBED_ORT_TABLE_H

#include <stddef.h>
#include <stdint.h>

/* The oldest version whose table and settings are used: its place in a version's name, and as GetApi counts. */
enum { HT_ORT_MAJOR = 1, HT_ORT_MINOR = 20, HT_ORT_API = 20 };

/* Its own objects, of which we hold nothing but pointers. */
typedef struct OrtStatus OrtStatus;
typedef struct OrtEnv OrtEnv;
typedef struct OrtSession OrtSession;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtValue OrtValue;
typedef struct OrtMemoryInfo OrtMemoryInfo;
typedef struct OrtShape OrtShape; /* OrtTensorTypeAndShapeInfo */

typedef void (*ht_ort_slot)(void);
typedef struct OrtApi {
    ht_ort_slot slots[131]; /* that many are looked at */
} OrtApi;
typedef struct OrtApiBase {
    const OrtApi *(*GetApi)(uint32_t version);
    const char *(*GetVersionString)(void);
} OrtApiBase;

enum {
    HT_ORT_F32 = 1, /* types of numbers, as in ONNX */
    HT_ORT_I32 = 6,
    HT_ORT_I64 = 7,
    HT_ORT_LOG_FATAL = 4,
    HT_ORT_ARENA = 1, /* OrtArenaAllocator */
    HT_ORT_DEFAULT_MEMORY = 0
};

/* name, number, what it gives, what it takes. Those that give an OrtStatus give NULL where all is well. */
#define HT_ORT_SLOTS(SLOT)                                                                                             \
    SLOT(GetErrorMessage, 2, const char *, (const OrtStatus *))                                                        \
    SLOT(CreateEnv, 3, OrtStatus *, (int level, const char *name, OrtEnv **out))                                       \
    SLOT(CreateSessionFromArray, 8, OrtStatus *,                                                                       \
         (const OrtEnv *, const void *data, size_t bytes, const OrtSessionOptions *, OrtSession **out))                \
    SLOT(Run, 9, OrtStatus *,                                                                                          \
         (OrtSession *, const void *options, const char *const *names, const OrtValue *const *inputs, size_t count,    \
          const char *const *output_names, size_t output_count, OrtValue **outputs))                                   \
    SLOT(CreateSessionOptions, 10, OrtStatus *, (OrtSessionOptions * *out))                                            \
    SLOT(SetIntraOpNumThreads, 24, OrtStatus *, (OrtSessionOptions *, int threads))                                    \
    SLOT(CreateTensorWithDataAsOrtValue, 49, OrtStatus *,                                                              \
         (const OrtMemoryInfo *, void *data, size_t bytes, const int64_t *shape, size_t rank, int type,                \
          OrtValue **out))                                                                                             \
    SLOT(GetTensorMutableData, 51, OrtStatus *, (OrtValue *, void **out))                                              \
    SLOT(GetTensorElementType, 60, OrtStatus *, (const OrtShape *, int *out))                                          \
    SLOT(GetDimensionsCount, 61, OrtStatus *, (const OrtShape *, size_t *out))                                         \
    SLOT(GetDimensions, 62, OrtStatus *, (const OrtShape *, int64_t *out, size_t rank))                                \
    SLOT(GetTensorTypeAndShape, 65, OrtStatus *, (const OrtValue *, OrtShape **out))                                   \
    SLOT(CreateCpuMemoryInfo, 69, OrtStatus *, (int allocator, int memory, OrtMemoryInfo **out))                       \
    SLOT(ReleaseEnv, 92, void, (OrtEnv *))                                                                             \
    SLOT(ReleaseStatus, 93, void, (OrtStatus *))                                                                       \
    SLOT(ReleaseMemoryInfo, 94, void, (OrtMemoryInfo *))                                                               \
    SLOT(ReleaseSession, 95, void, (OrtSession *))                                                                     \
    SLOT(ReleaseValue, 96, void, (OrtValue *))                                                                         \
    SLOT(ReleaseShape, 99, void, (OrtShape *))                                                                         \
    SLOT(ReleaseSessionOptions, 100, void, (OrtSessionOptions *))                                                      \
    SLOT(AddSessionConfigEntry, 130, OrtStatus *, (OrtSessionOptions *, const char *key, const char *value))

/* ort.Name(...) calls it. */
typedef struct ht_ort_table {
#define SLOT(name, number, gives, takes) gives(*name) takes;
    HT_ORT_SLOTS(SLOT)
#undef SLOT
} ht_ort_table;

#endif

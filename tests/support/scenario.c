/*
 * scenario.c: see scenario.h. The contents of a row are functions of its id and of a version number.
 */
#include "scenario.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/hash.h"
#include "base/strings.h"
#include "engine/compact.h"
#include "engine/state.h"

static const char *const collection_names[SCENARIO_COLLECTIONS] = {"notes", "large", "third \xc3\xa9"};

/* ---- contents */

static float element(int64_t id, uint32_t version, uint32_t j) {
    return (float)((double)(ht_mix64((uint64_t)id << 40 ^ (uint64_t)version << 16 ^ j) >> 40) / 8388608.0 - 1.0);
}

static void make_vector(float *out, uint32_t dim, int64_t id, uint32_t version) {
    for (uint32_t j = 0; j < dim; j++)
        out[j] = element(id, version, j);
}

static size_t make_metadata(char *out, size_t room, int64_t id, uint32_t version) {
    return (size_t)snprintf(out, room, "{\"n\":%" PRId64 ",\"v\":%" PRIu32 "}", id, version);
}

/* Vector fields: one vector, which every second version brings; and up to three, which updates do not bring. */
enum { ONE_DIM = 5, FEW_DIM = 2, FEW_MOST = 4 };
static const hither_field scenario_fields[] = {{.name = "one", .dim = ONE_DIM},
                                               {.name = "few", .kind = HITHER_MULTI, .dim = FEW_DIM, .most = FEW_MOST}};
static bool has_one(uint32_t version) { return version % 2 != 0; }
static uint32_t few_count(uint32_t version) { return version % FEW_MOST; }

/* Every third version has none; every seventh spans pages. */
static bool has_document(uint32_t version) { return version % 3 != 0; }
enum { DOCUMENT_ROOM = 6000 };
static size_t make_document(char *out, int64_t id, uint32_t version) {
    size_t bytes = version % 7 == 0 ? 5000 : 10 + version % 50;
    int head = snprintf(out, DOCUMENT_ROOM, "document %" PRId64 " %" PRIu32 " ", id, version);
    for (size_t i = (size_t)head; i < bytes; i++)
        out[i] = (char)('a' + (i + version) % 26);
    return bytes > (size_t)head ? bytes : (size_t)head;
}

/* ---- the list of acts */

static void pick_ids(act *a, const model *m, uint64_t *random, bool live, bool dead) {
    a->count = 0;
    size_t wanted = 1 + (*random = ht_mix64(*random + 1)) % (SCENARIO_BATCH - 1);
    size_t start = (*random = ht_mix64(*random + 1)) % SCENARIO_IDS, step = 1 + *random / SCENARIO_IDS % 7;
    for (size_t i = 0; i < SCENARIO_IDS && a->count < wanted; i += step) {
        size_t id = (start + i) % SCENARIO_IDS;
        bool is_live = m->collections[a->collection].rows[id].live;
        if (is_live ? live : dead)
            a->ids[a->count++] = (int64_t)id;
    }
}

static void draw_act(act *a, const model *m, uint64_t *random, bool large) {
    uint64_t r = *random = ht_mix64(*random + 1);
    a->collection = r % 10 < 5 ? 0 : r % 10 < 9 && large ? 1 : 2;
    uint32_t dim = m->collections[a->collection].dim;
    r /= 10;
    if (dim == 0) {
        a->kind = ACT_CREATE;
        a->dim = a->collection == 1 ? 4000 : 3 + (uint32_t)(r % 30);
        return;
    }
    unsigned roll = (unsigned)(r % 100);
    a->vectors = r / 100 % 2;
    if (roll < 35) {
        a->kind = ACT_INSERT;
        pick_ids(a, m, random, false, true);
    } else if (roll < 60) {
        a->kind = ACT_UPSERT;
        pick_ids(a, m, random, true, true);
    } else if (roll < 75) {
        a->kind = ACT_UPDATE;
        pick_ids(a, m, random, true, false);
    } else if (roll < 87) {
        a->kind = ACT_DELETE;
        pick_ids(a, m, random, true, true);
    } else {
        a->kind = roll < 89            ? ACT_FLUSH
                  : roll < 93          ? ACT_OPEN
                  : roll < 97          ? ACT_COMPACT
                  : a->collection == 2 ? ACT_DROP
                                       : ACT_FLUSH;
    }
    if (a->count == 0 && (a->kind == ACT_INSERT || a->kind == ACT_UPDATE)) {
        a->kind = ACT_UPSERT;
        pick_ids(a, m, random, true, true);
    }
}

void scenario_make(act *acts, size_t count, uint64_t seed, bool large, bool copies) {
    model m = {0};
    uint64_t random = ht_mix64(seed);
    for (size_t i = 0; i < count; i++) {
        acts[i] = (act){.version = (uint32_t)i + 1};
        if (i == 0)
            acts[i].kind = ACT_OPEN;
        else if (i + 1 == count)
            acts[i].kind = ACT_COMPACT;
        else if (copies && (i == count * 2 / 3 || i == count * 5 / 6))
            acts[i].kind = i == count * 2 / 3 ? ACT_BACKUP : ACT_PACK;
        else
            draw_act(&acts[i], &m, &random, large);
        model_apply(&m, &acts[i]);
    }
}

void act_describe(const act *a, char *text, size_t room) {
    static const char *const verbs[] = {"open",   "create", "drop",    "insert", "upsert", "update",
                                        "delete", "flush",  "compact", "backup", "pack"};
    snprintf(text, room, "%s in \"%s\", %zu rows, version %" PRIu32, verbs[a->kind], collection_names[a->collection],
             a->count, a->version);
}

/* ---- the model */

void model_apply(model *m, const act *a) {
    if (a->kind == ACT_CREATE)
        m->collections[a->collection].dim = a->dim;
    else if (a->kind == ACT_DROP)
        memset(&m->collections[a->collection], 0, sizeof m->collections[a->collection]);
    for (size_t i = 0; i < a->count; i++) {
        model_row *row = &m->collections[a->collection].rows[a->ids[i]];
        if (a->kind == ACT_DELETE)
            *row = (model_row){0};
        else if (a->kind == ACT_UPDATE)
            row->version = a->version;
        else
            *row = (model_row){true,
                               a->version,
                               a->version,
                               has_document(a->version) ? a->version : 0,
                               has_one(a->version) ? a->version : 0,
                               a->version};
        if (a->kind == ACT_UPDATE && has_one(a->version))
            row->one = a->version;
        if (a->kind == ACT_UPDATE && a->vectors)
            row->vector = a->version;
    }
}

/* one NULL: none. */
static void put_row(ht_buf *out, int64_t id, ht_text metadata, ht_text document, const float *vector, uint32_t dim,
                    const float *one, const float *few, size_t count) {
    ht_buf_printf(out, "  %" PRId64 " %08x %08x %08x ", id, ht_crc32c(0, vector, dim * sizeof *vector),
                  one ? ht_crc32c(0, one, ONE_DIM * sizeof *one) : 0,
                  count ? ht_crc32c(0, few, count * FEW_DIM * sizeof *few) : 0);
    ht_buf_put(out, metadata.data, metadata.bytes);
    ht_buf_puts(out, document.data ? " | " : " -");
    ht_buf_put(out, document.data, document.bytes);
    ht_buf_putc(out, '\n');
}

void scenario_expect(const model *m, ht_buf *out) {
    static float vector[4096];
    static char metadata[100], document[DOCUMENT_ROOM];
    for (size_t c = 0; c < SCENARIO_COLLECTIONS; c++) {
        uint32_t dim = m->collections[c].dim;
        if (dim == 0)
            continue;
        ht_buf_printf(out, "%s: dim %" PRIu32 "\n", collection_names[c], dim);
        for (int64_t id = 0; id < SCENARIO_IDS; id++) {
            const model_row *row = &m->collections[c].rows[id];
            if (!row->live)
                continue;
            make_vector(vector, dim, id, row->vector);
            ht_text text = {metadata, make_metadata(metadata, sizeof metadata, id, row->version)}, words = {0};
            if (row->document)
                words = (ht_text){document, make_document(document, id, row->document)};
            float one[ONE_DIM], few[FEW_MOST * FEW_DIM];
            make_vector(one, ONE_DIM, id, row->one);
            make_vector(few, few_count(row->few) * FEW_DIM, id, row->few);
            put_row(out, id, text, words, vector, dim, row->one ? one : NULL, few, few_count(row->few));
        }
    }
}

/* ---- doing it */

static hither_status do_put(ht_collection *c, const act *a, hither_error *err) {
    static const hither_mode modes[] = {
        [ACT_INSERT] = HITHER_INSERT, [ACT_UPSERT] = HITHER_UPSERT, [ACT_UPDATE] = HITHER_UPDATE};
    uint32_t dim = ht_collection_dim(c);
    bool update = a->kind == ACT_UPDATE, vectors = !update || a->vectors;
    float *rows = malloc(a->count * dim * sizeof *rows + 1);
    char metadata[SCENARIO_BATCH][100];
    static char documents[SCENARIO_BATCH * DOCUMENT_ROOM];
    static char metadata_bytes[SCENARIO_BATCH * 100];
    uint64_t metadata_offsets[SCENARIO_BATCH + 1] = {0}, document_offsets[SCENARIO_BATCH + 1] = {0};
    uint8_t no_documents[2] = {0, 0};
    float one[SCENARIO_BATCH * ONE_DIM], few[SCENARIO_BATCH * FEW_MOST * FEW_DIM];
    uint64_t few_offsets[SCENARIO_BATCH + 1] = {0};
    for (size_t i = 0; i < a->count; i++) {
        make_vector(rows + i * dim, dim, a->ids[i], a->version);
        size_t bytes = update ? (size_t)snprintf(metadata[i], sizeof metadata[i], "{\"v\":%" PRIu32 "}", a->version)
                              : make_metadata(metadata[i], sizeof metadata[i], a->ids[i], a->version);
        memcpy(metadata_bytes + metadata_offsets[i], metadata[i], bytes);
        metadata_offsets[i + 1] = metadata_offsets[i] + bytes;
        make_vector(one + i * ONE_DIM, ONE_DIM, a->ids[i], a->version);
        make_vector(few + few_offsets[i] * FEW_DIM, few_count(a->version) * FEW_DIM, a->ids[i], a->version);
        few_offsets[i + 1] = few_offsets[i] + few_count(a->version);
        document_offsets[i + 1] = document_offsets[i];
        if (has_document(a->version))
            document_offsets[i + 1] += make_document(documents + document_offsets[i], a->ids[i], a->version);
    }
    hither_batch batch = {.size = sizeof batch,
                          .ids = {.ints = a->ids, .count = a->count},
                          .metadata = {metadata_bytes, metadata_offsets, a->count, NULL}};
    if (vectors)
        batch.vectors = (hither_matrix){rows, a->count, dim, 0, HITHER_F32};
    if (!update)
        batch.documents =
            (hither_strings){documents, document_offsets, a->count, has_document(a->version) ? NULL : no_documents};
    hither_named named[2] = {{.field = "one", .count = a->count, .vectors = {one, a->count, ONE_DIM, 0, HITHER_F32}},
                             {.field = "few",
                              .count = a->count,
                              .vectors = {few, (size_t)few_offsets[a->count], FEW_DIM, 0, HITHER_F32},
                              .offsets = few_offsets}};
    batch.named = has_one(a->version) ? named : named + 1;
    batch.named_count = (has_one(a->version) && a->count) + !update;
    hither_status status = ht_collection_put(c, modes[a->kind], &batch, NULL, NULL, err);
    free(rows);
    return status;
}

static hither_status do_in_collection(ht_db *db, const act *a, hither_error *err) {
    ht_collection_spec spec = {.dim = a->kind == ACT_CREATE ? a->dim : 0,
                               .dtype = HITHER_F32,
                               .metric = a->kind == ACT_CREATE ? HITHER_L2 : 0,
                               .flags = a->kind == ACT_CREATE ? HITHER_COLLECTION_NEW : HITHER_COLLECTION_EXISTING};
    if (a->kind == ACT_CREATE) {
        spec.fields = scenario_fields;
        spec.field_count = sizeof scenario_fields / sizeof *scenario_fields;
    }
    if (a->kind == ACT_CREATE)
        spec.schema = "{\"fields\":{\"n\":{\"type\":\"int\",\"unique\":true},\"v\":\"int\"},\"closed\":true}";
    ht_collection *c = NULL;
    HT_TRY(ht_collection_open(db, collection_names[a->collection], &spec, &c, err));
    hither_status status = HITHER_OK;
    if (a->kind == ACT_DELETE)
        status = ht_collection_delete(c, &(hither_ids){.ints = a->ids, .count = a->count}, NULL, NULL, err);
    else if (a->kind != ACT_CREATE)
        status = do_put(c, a, err);
    ht_collection_close(c);
    return status;
}

void act_copy_path(const act *a, const char *path, char *out, size_t room) {
    snprintf(out, room, "%s.copy-%" PRIu32, path, a->version);
}

hither_status act_do(const ht_io *io, const char *path, ht_db **db, const act *a, hither_error *err) {
    char copy[700];
    act_copy_path(a, path, copy, sizeof copy);
    switch (a->kind) {
    case ACT_OPEN:
        if (*db)
            ht_db_keep_codes(*db, 0);
        ht_db_close(*db);
        *db = NULL;
        return ht_db_open_io(io, path, 0, 0, db, err);
    case ACT_FLUSH:
        return ht_db_flush(*db, err);
    case ACT_COMPACT:
        return a->version % 2 ? ht_db_purge(*db, &(ht_progress){0}, err) : ht_db_compact(*db, &(ht_progress){0}, err);
    case ACT_BACKUP:
        return ht_db_backup(*db, copy, &(ht_progress){0}, err);
    case ACT_PACK:
        return ht_db_pack(*db, copy, err);
    case ACT_DROP:
        return ht_db_drop(*db, collection_names[a->collection], err);
    default:
        return do_in_collection(*db, a, err);
    }
}

/* ---- what is there */

static hither_status dump_rows(const hither_result *r, uint32_t dim, ht_buf *lines) {
    hither_ids ids = hither_result_ids(r, 0);
    hither_matrix vectors = hither_result_vectors(r, 0);
    hither_strings metadata = hither_result_metadata(r, 0), documents = hither_result_documents(r, 0);
    hither_named one = hither_result_named(r, 0, 1), few = hither_result_named(r, 0, 2);
    for (size_t i = 0; i < ids.count; i++) {
        if (!ids.ints || ids.ints[i] < 0 || ids.ints[i] >= SCENARIO_IDS)
            return HITHER_CORRUPT;
        if (lines[ids.ints[i]].size > 0)
            ht_buf_puts(&lines[ids.ints[i]], "twice: ");
        put_row(&lines[ids.ints[i]], ids.ints[i], ht_strings_at(&metadata, i), ht_strings_at(&documents, i),
                (const float *)vectors.data + i * dim, dim,
                one.valid[i / 8] >> i % 8 & 1 ? (const float *)one.vectors.data + i * ONE_DIM : NULL,
                few.vectors.data ? (const float *)few.vectors.data + few.offsets[i] * FEW_DIM : NULL,
                (size_t)(few.offsets[i + 1] - few.offsets[i]));
    }
    return HITHER_OK;
}

static hither_status dump_collection(ht_db *db, const char *name, ht_buf *out, hither_error *err) {
    ht_collection_spec spec = {.dtype = HITHER_F32, .flags = HITHER_COLLECTION_EXISTING};
    ht_collection *c = NULL;
    ht_cursor *cursor = NULL;
    ht_buf lines[SCENARIO_IDS];
    uint64_t count = 0, seen = 0;
    HT_TRY(ht_collection_open(db, name, &spec, &c, err));
    for (size_t i = 0; i < SCENARIO_IDS; i++)
        ht_buf_init(&lines[i], SIZE_MAX);
    uint32_t dim = ht_collection_dim(c);
    ht_buf_printf(out, "%s: dim %" PRIu32 "\n", name, dim);
    const uint32_t all =
        HITHER_INCLUDE_VECTORS | HITHER_INCLUDE_METADATA | HITHER_INCLUDE_DOCUMENTS | HITHER_INCLUDE_FIELDS;
    hither_status status = ht_collection_count(c, NULL, &count, err);
    if (status == HITHER_OK)
        status = ht_collection_scan(c, NULL, all, &cursor, err);
    for (bool more = true; status == HITHER_OK && more;) {
        hither_result *r = NULL;
        status = ht_cursor_next(cursor, 40, &r, err);
        if (status != HITHER_OK)
            break;
        more = hither_result_count(r, 0) > 0;
        seen += hither_result_count(r, 0);
        status = dump_rows(r, dim, lines);
        hither_result_free(r);
    }
    ht_cursor_close(cursor);
    ht_collection_close(c);
    for (size_t i = 0; i < SCENARIO_IDS; i++) {
        ht_buf_put(out, lines[i].data, lines[i].size);
        ht_buf_clear(&lines[i]);
    }
    if (status == HITHER_OK && seen != count)
        ht_buf_printf(out, "the count says %" PRIu64 "\n", count);
    return status;
}

hither_status scenario_dump(ht_db *db, ht_buf *out, hither_error *err) {
    hither_result *list = NULL;
    HT_TRY(ht_db_list(db, &list, err));
    hither_strings names = hither_result_ids(list, 0).strings;
    hither_status status = HITHER_OK;
    size_t known = 0;
    for (size_t c = 0; c < SCENARIO_COLLECTIONS && status == HITHER_OK; c++) {
        for (size_t i = 0; i < names.count && status == HITHER_OK; i++) {
            ht_text name = ht_strings_at(&names, i);
            if (name.bytes != strlen(collection_names[c]) || memcmp(name.data, collection_names[c], name.bytes) != 0)
                continue;
            known++;
            status = dump_collection(db, collection_names[c], out, err);
        }
    }
    if (known != names.count)
        ht_buf_puts(out, "a collection nobody made\n");
    hither_result_free(list);
    return status != HITHER_OK ? status : ht_buf_check(out, "a dump", err);
}

static void explain_difference(const ht_buf *found, const ht_buf *wanted, char *why, size_t room) {
    size_t i = 0;
    while (i < found->size && i < wanted->size && found->data[i] == wanted->data[i])
        i++;
    while (i > 0 && found->data[i - 1] != '\n')
        i--;
    snprintf(why, room, "found \"%.100s\", wanted \"%.100s\"", found->data ? found->data + i : "",
             wanted->data && i <= wanted->size ? wanted->data + i : "");
}

int scenario_compare(ht_db *db, const model *a, const model *b, char *why, size_t room) {
    hither_error err = {0};
    ht_buf found, wanted[2];
    int answer = -1;
    ht_buf_init(&found, SIZE_MAX);
    for (size_t i = 0; i < 2; i++)
        ht_buf_init(&wanted[i], SIZE_MAX);
    ht_buf_puts(&found, "");
    hither_status status = scenario_dump(db, &found, &err);
    if (status != HITHER_OK) {
        snprintf(why, room, "%s: %s", hither_status_name(status), err.message);
    } else {
        for (int i = 0; i < 2 && answer < 0; i++) {
            const model *m = i ? b : a;
            if (!m)
                continue;
            ht_buf_puts(&wanted[i], "");
            scenario_expect(m, &wanted[i]);
            if (found.size == wanted[i].size && memcmp(found.data, wanted[i].data, found.size) == 0)
                answer = i;
        }
        if (answer < 0)
            explain_difference(&found, &wanted[0], why, room);
    }
    ht_buf_clear(&found);
    for (size_t i = 0; i < 2; i++)
        ht_buf_clear(&wanted[i]);
    return answer;
}

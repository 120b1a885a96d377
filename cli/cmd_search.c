/* cmd_search.c: search and recommend. The query is a text, the vectors of a file, or rows named by id. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "commands.h"
#include "database.h"
#include "fields.h"
#include "import.h"
#include "model.h"
#include "plan.h"
#include "queries.h"
#include "rows.h"

enum { QUERIES_AT_ONCE = 64 };

typedef struct searcher {
    const ht_args *args;
    ht_opened opened;
    const char *text, *id, *words; /* words: of a search by keywords, else NULL */
    uint32_t k;
    hither_field field;     /* the one to search; name NULL: rows' own vectors */
    ht_file_queries beside; /* of --beside; count 0: none */
    char beside_name[HITHER_MAX_FIELD_BYTES + 1];
    bool examples; /* the command is recommend: there is no one query to name */
} searcher;

/* ---- printing */

static bool larger_is_nearer(const searcher *s) {
    return s->opened.facts.metric == HITHER_COSINE || s->opened.facts.metric == HITHER_DOT;
}

static void query_json(ht_buf *out, const searcher *s, size_t query) {
    int64_t number;
    if (s->text)
        ht_json_text(out, s->text, strlen(s->text));
    else if (s->id && s->opened.facts.ids == HT_IDS_INT && ht_canonical_int(s->id, strlen(s->id), &number))
        ht_buf_printf(out, "%lld", (long long)number);
    else if (s->id)
        ht_json_text(out, s->id, strlen(s->id));
    else
        ht_buf_printf(out, "%zu", query);
}

static bool print_json(const searcher *s, const ht_rows *rows, size_t query) {
    ht_buf out;
    ht_buf_init(&out, SIZE_MAX / 2);
    for (size_t i = 0; i < rows->count; i++) {
        ht_buf_putc(&out, '{');
        if (!s->examples) {
            ht_buf_puts(&out, "\"query\":");
            query_json(&out, s, query);
            ht_buf_putc(&out, ',');
        }
        ht_buf_printf(&out, "\"rank\":%zu,\"id\":", i + 1);
        ht_json_id(&out, &rows->ids, i);
        ht_buf_puts(&out, ",\"distance\":");
        ht_json_float(&out, rows->distances[i]);
        if (rows->scores)
            ht_buf_printf(&out, ",\"score\":%.17g", rows->scores[i]);
        ht_row_json_payload(&out, rows, i);
        ht_row_json_vectors(&out, rows, i);
        ht_buf_puts(&out, "}\n");
    }
    bool fine = ht_out_buf(&out);
    ht_buf_clear(&out);
    return fine;
}

static void show_score(ht_buf *out, const searcher *s, const ht_rows *rows, size_t i) {
    float distance = rows->distances[i];
    if (rows->scores) {
        ht_buf_printf(out, "%10.4f", rows->scores[i]);
        return;
    }
    double similarity = 1.0 - (double)distance;
    if (s->opened.facts.metric == HITHER_COSINE)
        ht_buf_printf(out, "%10.4f", fabs(similarity) < 0.00005 ? 0.0 : similarity); /* no "-0.0000" */
    else
        ht_buf_printf(out, "%10.5g", larger_is_nearer(s) ? 0.0 - (double)distance : (double)distance);
}

static unsigned id_width(const ht_rows *rows) {
    unsigned widest = 2;
    ht_buf id;
    ht_buf_init(&id, SIZE_MAX / 2);
    for (size_t i = 0; i < rows->count; i++) {
        ht_show_id(&id, &rows->ids, i);
        unsigned columns = ht_columns(id.data, id.size);
        widest = columns > widest ? columns : widest;
        ht_buf_reset(&id);
    }
    ht_buf_clear(&id);
    return widest < 24 ? widest : 24;
}

static bool print_people(const searcher *s, const ht_rows *rows, size_t query, size_t queries) {
    ht_buf out;
    ht_buf_init(&out, SIZE_MAX / 2);
    if (queries > 1)
        ht_buf_printf(&out, "%squery %zu\n", query ? "\n" : "", query);
    const unsigned width = id_width(rows);
    if (rows->count) {
        ht_show_dim(&out, true);
        ht_buf_printf(&out, "%4s  %10s  %-*s  %s\n", "rank",
                      rows->scores          ? "score"
                      : larger_is_nearer(s) ? "similarity"
                                            : "distance",
                      (int)width, "id", "document");
        ht_show_dim(&out, false);
    }
    for (size_t i = 0; i < rows->count; i++) {
        ht_buf_printf(&out, "%4zu  ", i + 1);
        show_score(&out, s, rows, i);
        ht_buf_puts(&out, "  ");
        size_t start = out.size;
        ht_show_id(&out, &rows->ids, i);
        unsigned columns = ht_columns(out.data + start, out.size - start);
        ht_buf_printf(&out, "%*s  ", columns < width ? (int)(width - columns) : 0, "");
        ht_row_payload(&out, rows, i, 20 + width);
    }
    bool fine = ht_out_buf(&out);
    ht_buf_clear(&out);
    return fine;
}

static bool print_hits(const searcher *s, const hither_result *result, size_t first, size_t queries) {
    for (size_t g = 0; g < hither_result_groups(result); g++) {
        ht_rows rows = ht_rows_of(result, g);
        bool json = ht_args_has(s->args, HT_OPT_JSON);
        if (!(json ? print_json(s, &rows, first + g) : print_people(s, &rows, first + g, queries)))
            return false;
    }
    return true;
}

/* ---- searching */

static hither_status print_plan(const searcher *s, const hither_result *result, hither_error *err) {
    ht_buf out;
    ht_buf_init(&out, SIZE_MAX / 2);
    hither_status status = HITHER_OK;
    if (ht_args_has(s->args, HT_OPT_JSON))
        ht_buf_printf(&out, "{\"plan\":%s}\n", hither_result_plan(result));
    else
        status = ht_plan_tree(&out, hither_result_plan(result), err);
    if (status == HITHER_OK)
        ht_out_buf(&out);
    ht_buf_clear(&out);
    return status;
}

static hither_status find(const searcher *s, const hither_query *query, hither_result **out, hither_error *err) {
    const float most = (float)ht_args_real(s->args, HT_OPT_MAX_DISTANCE, 0);
    hither_search_options options = {.size = sizeof options,
                                     .include = ht_include_of(s->args),
                                     .where = ht_args_text(s->args, HT_OPT_WHERE, NULL),
                                     .max_distance = ht_args_has(s->args, HT_OPT_MAX_DISTANCE) ? &most : NULL,
                                     .candidates = (uint32_t)ht_args_number(s->args, HT_OPT_CANDIDATES, 0),
                                     .group_by = ht_args_text(s->args, HT_OPT_GROUP_BY, NULL),
                                     .group_size = (uint32_t)ht_args_number(s->args, HT_OPT_GROUP_SIZE, 0),
                                     .diversity = ht_args_real(s->args, HT_OPT_DIVERSITY, 0),
                                     .vector_weight = ht_args_real(s->args, HT_OPT_VECTOR_WEIGHT, 0),
                                     .recall = ht_args_real(s->args, HT_OPT_RECALL, 0),
                                     .ef = (uint32_t)ht_args_number(s->args, HT_OPT_EF, 0),
                                     .nprobe = (uint32_t)ht_args_number(s->args, HT_OPT_NPROBE, 0)};
    if (ht_args_has(s->args, HT_OPT_FUSION))
        options.fusion = s->args->values[HT_OPT_FUSION].choice ? HITHER_WEIGHTED : HITHER_RRF;
    if (ht_args_has(s->args, HT_OPT_RADIUS))
        return hither_collection_within(s->opened.collection, query, (float)ht_args_real(s->args, HT_OPT_RADIUS, 0),
                                        &options, out, err);
    return hither_collection_search(s->opened.collection, query, s->k, &options, out, err);
}

/* The same words for each query. */
static hither_status find_with_words(const searcher *s, const hither_query *query, size_t count, hither_result **out,
                                     hither_error *err) {
    ht_column words;
    hither_query both = *query;
    ht_column_init(&words);
    for (size_t i = 0; i < count; i++)
        ht_column_add(&words, s->words, strlen(s->words));
    hither_status status = ht_column_check(&words, err);
    both.keywords = ht_column_view(&words);
    if (status == HITHER_OK)
        status = find(s, &both, out, err);
    ht_column_clear(&words);
    return status;
}

/* Prints an answer, which it frees. */
static hither_status show(const searcher *s, hither_result *result, size_t first, size_t queries, bool *more,
                          hither_error *err) {
    *more = print_hits(s, result, first, queries);
    hither_status status = HITHER_OK;
    if (*more && ht_args_has(s->args, HT_OPT_EXPLAIN))
        status = print_plan(s, result, err);
    if (*more && ht_out_terminal()->tty && !hither_result_count(result, 0))
        ht_say(s->opened.facts.count ? "no row of \"%s\" matches" : "\"%s\" is empty", s->args->operands[1]);
    hither_result_free(result);
    return status;
}

/* Queries first ... of `queries`; what --beside has for them goes along. */
static hither_status search(const searcher *s, hither_query query, size_t first, size_t queries, bool *more,
                            hither_error *err) {
    hither_result *result;
    const size_t count = query.vectors.rows ? query.vectors.rows : query.named ? query.named->count : 1;
    hither_named part;
    if (s->beside.count && s->beside.count != queries)
        return ht_fail(err, HITHER_INVALID, "--beside has %zu queries, and there are %zu", s->beside.count, queries);
    if (s->beside.count) {
        part = ht_file_queries_slice(&s->beside, first, count);
        query.named = &part;
    }
    if (s->words)
        HT_TRY(find_with_words(s, &query, count, &result, err));
    else
        HT_TRY(find(s, &query, &result, err));
    return show(s, result, first, queries, more, err);
}

static hither_status search_text(const searcher *s, hither_error *err) {
    bool more;
    ht_column texts;
    if (ht_args_has(s->args, HT_OPT_KEYWORD))
        return search(s, (hither_query){.size = sizeof(hither_query)}, 0, 1, &more, err);
    ht_column_init(&texts);
    ht_column_add(&texts, s->text, strlen(s->text));
    hither_status status = ht_column_check(&texts, err);
    hither_query query = {.size = sizeof query, .texts = ht_column_view(&texts), .field = s->field.name};
    if (status == HITHER_OK)
        status = search(s, query, 0, 1, &more, err);
    ht_column_clear(&texts);
    return status;
}

static hither_status search_id(const searcher *s, hither_error *err) {
    bool more;
    ht_id_list list;
    ht_id_list_init(&list, s->opened.facts.ids == HT_IDS_INT);
    hither_status status = HITHER_OK;
    if (!ht_id_list_type(&list, &s->opened.facts, s->id))
        status = ht_fail(err, HITHER_NOT_FOUND, "no row with id %.100s in \"%.100s\"", s->id, s->args->operands[1]);
    if (status == HITHER_OK)
        status = ht_id_list_check(&list, err);
    hither_query query = {.size = sizeof query, .ids = ht_id_list_view(&list), .field = s->field.name};
    if (status == HITHER_OK)
        status = search(s, query, 0, 1, &more, err);
    ht_id_list_clear(&list);
    return status;
}

static hither_status search_vectors(const searcher *s, const char *path, hither_error *err) {
    ht_file_queries q;
    bool more = true;
    char holder[120];
    (void)snprintf(holder, sizeof holder, "%s \"%.80s\"", s->field.name ? "field" : "collection",
                   s->field.name ? s->field.name : s->args->operands[1]);
    hither_status status = ht_file_queries_read(path, &s->field, holder, &q, err);
    hither_query query = {.size = sizeof query};
    if (status == HITHER_OK && s->field.kind != HITHER_DENSE) {
        query.named = &q.named;
        status = search(s, query, 0, q.count, &more, err);
    } else {
        query.field = s->field.name;
        for (size_t i = 0; status == HITHER_OK && more && i < q.count; i += QUERIES_AT_ONCE) {
            query.vectors = ht_file_queries_slice(&q, i, ht_min_size(q.count - i, QUERIES_AT_ONCE)).vectors;
            status = search(s, query, i, q.count, &more, err);
        }
    }
    ht_file_queries_clear(&q);
    return status;
}

/* The words there are to search by; false where the arguments do not go together. */
static bool find_words(searcher *s) {
    const char *words = ht_args_text(s->args, HT_OPT_WORDS, NULL);
    bool keyword = ht_args_has(s->args, HT_OPT_KEYWORD), hybrid = ht_args_has(s->args, HT_OPT_HYBRID);
    if (keyword && hybrid)
        ht_say("search: --keyword or --hybrid, not both");
    else if (words && !hybrid)
        ht_say("search: --words is for --hybrid");
    else if (keyword && !s->text)
        ht_say("search: --keyword searches by the words of a text");
    else if (hybrid && !s->text && !words)
        ht_say("search: --hybrid wants words: a text, or --words WORDS");
    else if (keyword || hybrid)
        return (s->words = words ? words : s->text) != NULL;
    else
        return true;
    return false;
}

/* What near means is then the field's. */
static hither_status look_at_field(searcher *s, hither_error *err) {
    const char *name = ht_args_text(s->args, HT_OPT_FIELD, NULL);
    s->field = (hither_field){.kind = HITHER_DENSE, .dim = s->opened.facts.dim};
    if (!name)
        return HITHER_OK;
    HT_TRY(ht_field_look(s->opened.collection, name, &s->field, err));
    s->opened.facts.metric = s->field.metric;
    s->opened.facts.dim = s->field.dim;
    return HITHER_OK;
}

/* --beside NAME=FILE */
static hither_status look_beside(searcher *s, hither_error *err) {
    const char *given = ht_args_text(s->args, HT_OPT_BESIDE, NULL), *sign = given ? strchr(given, '=') : NULL;
    char *name = s->beside_name, holder[120];
    hither_field field;
    if (!given)
        return HITHER_OK;
    if (!sign || (size_t)(sign - given) >= sizeof s->beside_name)
        return ht_fail(err, HITHER_INVALID, "--beside \"%.60s\": NAME=FILE is wanted", given);
    memcpy(name, given, (size_t)(sign - given));
    name[sign - given] = 0;
    (void)snprintf(holder, sizeof holder, "field \"%.80s\"", name);
    HT_TRY(ht_field_look(s->opened.collection, name, &field, err));
    return ht_file_queries_read(sign + 1, &field, holder, &s->beside, err);
}

int ht_run_search(const ht_args *args) {
    hither_error err;
    searcher s = {.args = args,
                  .text = args->count == 3 ? args->operands[2] : NULL,
                  .id = ht_args_text(args, HT_OPT_ID, NULL),
                  .k = (uint32_t)ht_args_number(args, HT_OPT_K, 10)};
    const char *file = ht_args_text(args, HT_OPT_VECTOR, NULL);
    if ((s.text != NULL) + (s.id != NULL) + (file != NULL) != 1) {
        ht_say("search: one query is wanted: a text, --vector FILE or --id ID");
        return HT_EXIT_USAGE;
    }
    if (!find_words(&s))
        return HT_EXIT_USAGE;
    hither_status status = s.text && !ht_args_has(args, HT_OPT_KEYWORD)
                               ? ht_open_for_texts(args, HT_OPEN_READ, &s.opened, &err)
                               : ht_open_both(args->operands[0], args->operands[1], HT_OPEN_READ, &s.opened, &err);
    if (status == HITHER_OK)
        status = look_at_field(&s, &err);
    if (status == HITHER_OK)
        status = look_beside(&s, &err);
    if (status == HITHER_OK && s.beside.count && s.field.kind != HITHER_DENSE)
        status = ht_fail(&err, HITHER_INVALID, "--beside goes with rows' own vectors or a dense field, or with words");
    if (status == HITHER_OK)
        status = s.text ? search_text(&s, &err) : s.id ? search_id(&s, &err) : search_vectors(&s, file, &err);
    if (s.beside.count)
        ht_file_queries_clear(&s.beside);
    ht_close_both(&s.opened);
    if (status == HITHER_OK)
        return HT_EXIT_OK;
    ht_out_flush();
    return ht_report(status, &err);
}

/* ---- recommend */

static hither_status add_example(const searcher *s, ht_id_list *list, const char *typed, hither_error *err) {
    if (ht_id_list_type(list, &s->opened.facts, typed))
        return HITHER_OK;
    return ht_fail(err, HITHER_NOT_FOUND, "no row with id %.100s in \"%.100s\"", typed, s->args->operands[1]);
}

/* One id, or a JSON array of them. */
static hither_status add_unlike(const searcher *s, ht_id_list *list, const char *given, hither_error *err) {
    json_t *ids = NULL;
    hither_status status = HITHER_OK;
    if (*given != '[')
        return add_example(s, list, given, err);
    HT_TRY(ht_json_parse(given, strlen(given), HITHER_MAX_TEXT_BYTES, "--unlike", &ids, err));
    for (size_t i = 0; i < json_array_size(ids) && status == HITHER_OK; i++) {
        const json_t *id = json_array_get(ids, i);
        char number[32];
        (void)snprintf(number, sizeof number, "%lld", (long long)json_integer_value(id));
        if (json_is_string(id) || json_is_integer(id))
            status = add_example(s, list, json_is_string(id) ? json_string_value(id) : number, err);
        else
            status = ht_fail(err, HITHER_INVALID, "--unlike: element %zu is no id; ids are integers or strings", i);
    }
    json_decref(ids);
    return status;
}

static hither_status recommend(const searcher *s, hither_error *err) {
    const ht_args *args = s->args;
    const float most = (float)ht_args_real(args, HT_OPT_MAX_DISTANCE, 0);
    const char *unlike = ht_args_text(args, HT_OPT_UNLIKE, NULL);
    hither_search_options options = {.size = sizeof options,
                                     .include = ht_include_of(args),
                                     .where = ht_args_text(args, HT_OPT_WHERE, NULL),
                                     .max_distance = ht_args_has(args, HT_OPT_MAX_DISTANCE) ? &most : NULL};
    hither_result *result;
    bool more;
    ht_id_list like, other;
    ht_id_list_init(&like, s->opened.facts.ids == HT_IDS_INT);
    ht_id_list_init(&other, s->opened.facts.ids == HT_IDS_INT);
    hither_status status = unlike ? add_unlike(s, &other, unlike, err) : HITHER_OK;
    for (size_t i = 2; i < args->count && status == HITHER_OK; i++)
        status = add_example(s, &like, args->operands[i], err);
    if (status == HITHER_OK)
        status = ht_id_list_check(&like, err);
    if (status == HITHER_OK)
        status = ht_id_list_check(&other, err);
    hither_examples examples = {.size = sizeof examples,
                                .positive = ht_id_list_view(&like),
                                .negative = ht_id_list_view(&other),
                                .strategy = args->values[HT_OPT_STRATEGY].choice ? HITHER_BEST : HITHER_AVERAGE,
                                .field = s->field.name};
    if (status == HITHER_OK)
        status = hither_collection_recommend(s->opened.collection, &examples, s->k, &options, &result, err);
    ht_id_list_clear(&like);
    ht_id_list_clear(&other);
    return status == HITHER_OK ? show(s, result, 0, 1, &more, err) : status;
}

int ht_run_recommend(const ht_args *args) {
    hither_error err;
    searcher s = {.args = args, .k = (uint32_t)ht_args_number(args, HT_OPT_K, 10), .examples = true};
    if (args->count == 2 && !ht_args_has(args, HT_OPT_UNLIKE)) {
        ht_say("recommend: examples are wanted: ids of rows, or --unlike");
        return HT_EXIT_USAGE;
    }
    hither_status status = ht_open_both(args->operands[0], args->operands[1], HT_OPEN_READ, &s.opened, &err);
    if (status == HITHER_OK)
        status = look_at_field(&s, &err);
    if (status == HITHER_OK)
        status = recommend(&s, &err);
    ht_close_both(&s.opened);
    if (status == HITHER_OK)
        return HT_EXIT_OK;
    ht_out_flush();
    return ht_report(status, &err);
}

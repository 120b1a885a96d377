/* standing.c: see standing.h. */
#include "standing.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "output.h"
#include "reader.h"

enum { MOST_QUERIES = 10000, QUERY_BYTES = 1000 };

static bool has(const ht_standing *s, const char *text) {
    for (size_t i = 0; i < s->count; i++)
        if (!strcmp(s->queries[i].text, text))
            return true;
    return false;
}

static hither_status add(ht_standing *s, const char *text, hither_error *err) {
    if (s->count == MOST_QUERIES)
        return ht_fail(err, HITHER_TOO_LARGE, "more than %d standing queries", MOST_QUERIES);
    if ((s->count & (s->count - 1)) == 0) { /* room doubles */
        const size_t bytes = (s->count ? s->count * 2 : 1) * sizeof *s->queries;
        ht_near *queries = ht_resize(s->queries, bytes);
        if (!queries)
            return ht_fail_nomem(err, bytes, "standing queries");
        s->queries = queries;
    }
    HT_TRY(ht_near_init(&s->queries[s->count], text, &s->room, err));
    s->count++;
    return HITHER_OK;
}

static hither_status read_line(ht_standing *s, const ht_line *line, uint64_t number, hither_error *err) {
    char text[QUERY_BYTES + 1];
    size_t bytes = line->bytes;
    while (bytes > 0 && (line->data[bytes - 1] == ' ' || line->data[bytes - 1] == '\t'))
        bytes--;
    if (bytes == 0 || *line->data == '#')
        return HITHER_OK;
    memcpy(text, line->data, bytes);
    text[bytes] = 0;
    hither_error why = {0};
    hither_status status = has(s, text) ? HITHER_OK : add(s, text, &why);
    return status == HITHER_OK
               ? HITHER_OK
               : ht_fail(err, status, "%.80s: line %llu: %s", s->path, (unsigned long long)number, why.message);
}

static hither_status read_file(ht_standing *s, hither_error *err) {
    ht_reader r;
    hither_status status = ht_reader_open(&r, s->path, err);
    if (status != HITHER_OK)
        return status == HITHER_NOT_FOUND ? HITHER_OK : status;
    bool end = false;
    for (uint64_t number = 1; status == HITHER_OK && !end; number++) {
        ht_line line;
        status = ht_reader_line(&r, QUERY_BYTES, false, &line, &end, err);
        if (status == HITHER_OK && !end)
            status = read_line(s, &line, number, err);
    }
    ht_reader_close(&r);
    return status;
}

/* Tells the window. */
static hither_status tell(ht_standing *s, hither_error *err) {
    ht_column texts;
    ht_column_init(&texts);
    float *radius = ht_alloc((s->count ? s->count : 1) * sizeof *radius);
    if (!radius)
        return ht_fail_nomem(err, s->count * sizeof *radius, "standing queries");
    for (size_t i = 0; i < s->count; i++) {
        ht_column_add(&texts, s->queries[i].text, strlen(s->queries[i].text));
        radius[i] = s->whole ? 1 - (float)HT_NEAR_ENOUGH : 1 - HT_NEAR_LOOK;
    }
    hither_status status = ht_column_check(&texts, err);
    if (status == HITHER_OK)
        status = hither_window_queries_set(
            s->window,
            HITHER_OPTIONS(hither_window_queries, .texts = ht_column_view(&texts), .radius = radius, .first_only = 1),
            err);
    ht_column_clear(&texts);
    ht_release(radius);
    return status;
}

hither_status ht_standing_open(ht_standing *s, hither_window *window, const char *path, bool whole, hither_error *err) {
    *s = (ht_standing){.path = path, .window = window, .whole = whole};
    ht_buf_init(&s->clean, SIZE_MAX / 2);
    HT_TRY(ht_near_room_init(&s->room, err));
    if (path)
        HT_TRY(read_file(s, err));
    return tell(s, err);
}

void ht_standing_close(ht_standing *s) {
    for (size_t i = 0; i < s->count; i++)
        ht_near_clear(&s->queries[i]);
    ht_release(s->queries);
    ht_near_room_clear(&s->room);
    ht_buf_clear(&s->clean);
    *s = (ht_standing){0};
}

/* One write, so that a file that others read too has whole lines. */
static hither_status append(const char *path, const char *text, hither_error *err) {
    ht_buf line;
    ht_buf_init(&line, 2 * QUERY_BYTES);
    ht_buf_printf(&line, "%s\n", text);
    hither_status status = ht_buf_check(&line, "a query", err);
    const int fd = status == HITHER_OK ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666) : -1;
    if (status == HITHER_OK && (fd < 0 || write(fd, line.data, line.size) != (ssize_t)line.size))
        status = ht_fail_errno(err, errno, "cannot write %s", path);
    if (fd >= 0 && close(fd) != 0 && status == HITHER_OK)
        status = ht_fail_errno(err, errno, "cannot write %s", path);
    ht_buf_clear(&line);
    return status;
}

hither_status ht_standing_add(ht_standing *s, const char *text, hither_error *err) {
    if (has(s, text))
        return HITHER_OK;
    HT_TRY(add(s, text, err));
    HT_TRY(tell(s, err));
    return s->path ? append(s->path, text, err) : HITHER_OK;
}

hither_status ht_standing_match(ht_standing *s, const hither_result *matches, size_t group, ht_text line,
                                const char **query, float *similarity, hither_error *err) {
    const size_t count = hither_result_count(matches, group);
    const int64_t *numbers = hither_result_ids(matches, group).ints;
    *query = NULL;
    *similarity = 0;
    if (count == 0)
        return HITHER_OK;
    if (s->whole) { /* nearest first */
        *query = s->queries[numbers[0]].text;
        *similarity = 1 - hither_result_distances(matches, group)[0];
        return HITHER_OK;
    }
    ht_buf_reset(&s->clean);
    ht_clean_utf8(&s->clean, line.data, line.bytes);
    HT_TRY(ht_buf_check(&s->clean, "a line", err));
    HT_TRY(ht_near_read(&s->room, (ht_text){s->clean.data, s->clean.size}, err));
    for (size_t i = 0; i < count; i++) {
        const ht_near *near = &s->queries[numbers[i]];
        ht_near_part part;
        HT_TRY(ht_near_compare(near, &s->room, &part, err));
        if ((double)part.similarity >= HT_NEAR_ENOUGH && part.similarity > *similarity) {
            *query = near->text;
            *similarity = part.similarity;
        }
    }
    return HITHER_OK;
}

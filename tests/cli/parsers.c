/*
 * parsers.c: the command's importers, reader and argument parser from the inside: rows rendered as text and compared
 * with what they should be, for good input and bad; the reader fed in pieces against the reader fed at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants these first */
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "args.h"
#include "base/alloc.h"
#include "commands.h"
#include "import.h"

/* ---- rows as text */

static void render_row(ht_buf *out, const ht_row *row) {
    static const char kinds[] = {'i', 't', 'l'};
    ht_buf_printf(out, "%llu %c", (unsigned long long)row->place, kinds[row->id_kind]);
    if (row->id_kind == HT_ROW_ID_INT)
        ht_buf_printf(out, "%lld", (long long)row->id);
    else
        ht_buf_put(out, row->id_text.data, row->id_text.bytes);
    ht_buf_putc(out, '|');
    if (row->document.data)
        ht_buf_put(out, row->document.data, row->document.bytes);
    ht_buf_printf(out, "%s|", row->document.data ? "" : "-");
    ht_buf_put(out, row->metadata.data, row->metadata.bytes);
    for (uint32_t i = 0; row->vector && i < row->dim; i++)
        ht_buf_printf(out, "%c%g", i ? ' ' : '|', (double)row->vector[i]);
    ht_buf_putc(out, '\n');
}

static void render(ht_buf *out, hither_status status, ht_source *source, hither_error *err) {
    bool end = false;
    while (status == HITHER_OK && !end) {
        ht_row row;
        status = source->next(source, &row, &end, err);
        if (status == HITHER_OK && !end)
            render_row(out, &row);
    }
    if (status != HITHER_OK) {
        assert_int_equal(err->status, status);
        assert_true(strlen(err->message) > 10);
        ht_buf_printf(out, "!%s", hither_status_name(status));
    }
    ht_source_close(source);
}

typedef hither_status open_source(ht_reader *r, const ht_fields *fields, ht_source **out, hither_error *err);

static hither_status open_text(ht_reader *r, const ht_fields *fields, ht_source **out, hither_error *err) {
    (void)fields;
    return ht_source_text(r, out, err);
}

typedef struct sample {
    const char *input, *rows;
    size_t bytes; /* 0: strlen */
} sample;

static void check(open_source *open, const sample *samples, size_t count, ht_fields fields) {
    for (size_t i = 0; i < count; i++) {
        ht_reader r;
        ht_source *source = NULL;
        hither_error err = {0};
        ht_buf out;
        ht_buf_init(&out, SIZE_MAX / 2);
        /* an exact copy, so that a sanitizer sees a step too far */
        size_t bytes = samples[i].bytes ? samples[i].bytes : strlen(samples[i].input);
        char *copy = malloc(bytes ? bytes : 1);
        assert_non_null(copy);
        memcpy(copy, samples[i].input, bytes);
        ht_reader_memory(&r, "FILE", copy, bytes);
        hither_status opened = open(&r, &fields, &source, &err);
        render(&out, opened, source, &err);
        const char *have = out.data ? out.data : "";
        if (strcmp(have, samples[i].rows) != 0)
            fail_msg("sample %zu: %s\nwanted: %s\nhave: %s\n%s", i, samples[i].input, samples[i].rows, have,
                     err.message);
        ht_buf_clear(&out);
        free(copy);
    }
}
#define CHECK(open, samples, ...) check(open, samples, sizeof samples / sizeof *samples, (ht_fields){__VA_ARGS__})

static void text_lines(void **state) {
    (void)state;
    static const sample samples[] = {
        {"", "", 0},
        {"a\nb", "1 l1|a|\n2 l2|b|\n", 0},
        {"a\r\n\r\nb\r\n", "1 l1|a|\n2 l2||\n3 l3|b|\n", 0},
        {"\xef\xbb\xbfx\n", "1 l1|x|\n", 0},
        {"\xef\xbb", "!ENCODING", 0},
        {"ok\n\xc3(\n", "1 l1|ok|\n!ENCODING", 0},
        {"a\0b\n", "!SYNTAX", 4},
        {"ok\n\xed\xa0\x80\n", "1 l1|ok|\n!ENCODING", 0},
    };
    CHECK(open_text, samples);
}

static void jsonl_rows(void **state) {
    (void)state;
    static const sample samples[] = {
        {"", "", 0},
        {"\n \t\n\r\n", "", 0},
        {"{\"id\":1,\"text\":\"a\"}", "1 i1|a|\n", 0},
        {"\xef\xbb\xbf{\"text\":\"a\"}\r\n{\"document\":\"b\",\"x\":1}", "1 l1|a|\n2 l2|b|{\"x\":1}\n", 0},
        {"{\"document\":\"d\",\"text\":\"t\",\"id\":\"i\"}", "1 ti|d|{\"text\":\"t\"}\n", 0},
        {"{\"document\":null,\"text\":\"t\",\"vector\":[1]}", "1 l1|-|{\"text\":\"t\"}|1\n", 0},
        {"{ \"a\" : [1, {\"}\": \"]\\\"\"}] , \"text\":\"t\",\"b\":-0.10e+2 }",
         "1 l1|t|{\"a\":[1, {\"}\": \"]\\\"\"}],\"b\":-0.10e+2}\n", 0},
        {"{\"t\\u0065xt\":\"escaped\",\"vector\":null}", "1 l1|escaped|\n", 0},
        {"{\"text\":\"\\u00e4\\n\\\"\"}", "1 l1|\xc3\xa4\n\"|\n", 0},
        {"{\"vector\":[ 1 , -2.5e0,3 ]}", "1 l1|-||1 -2.5 3\n", 0},
        {"{\"embedding\":[1],\"n\":null}", "1 l1|-|{\"n\":null}|1\n", 0},
        {"{\"vector\":[1],\"embedding\":[2]}", "1 l1|-|{\"embedding\":[2]}|1\n", 0},
        {"{\"text\":\"a\"}\n{\"text\":", "1 l1|a|\n!SYNTAX", 0},
        {"{\"text\":\"a\"} x", "!SYNTAX", 0},
        {"[]", "!SYNTAX", 0},
        {"{}", "!INVALID", 0},
        {"{\"text\":\"a\",\"id\":null}", "!INVALID", 0},
        {"{\"text\":\"a\",\"id\":1.0}", "!INVALID", 0},
        {"{\"text\":1}", "!INVALID", 0},
        {"{\"text\":\"a\",\"text\":\"b\"}", "!SYNTAX", 0},
        {"{\"text\":\"\xff\"}", "!ENCODING", 0},
        {"{\"vector\":[]}", "!DIMENSION", 0},
        {"{\"vector\":{}}", "!SYNTAX", 0},
        {"{\"vector\":[1,[2]]}", "!SYNTAX", 0},
        {"{\"vector\":[true]}", "!SYNTAX", 0},
        {"{\"vector\":[1e39]}", "!NOT_FINITE", 0},
        {"{\"vector\":[1e-400,-0]}", "1 l1|-||0 -0\n", 0},
        {"{\"text\":\"a\0b\"}", "!SYNTAX", 14},
    };
    CHECK(ht_source_jsonl, samples);
    static const sample named[] = {
        {"{\"k\":1,\"t\":\"x\",\"id\":2,\"v\":[1]}", "1 i1|x|{\"id\":2}|1\n", 0},
        {"{\"t\":\"x\",\"v\":[1]}", "!INVALID", 0},
        {"{\"k\":\"x\",\"text\":\"x\"}", "!INVALID", 0},
    };
    CHECK(ht_source_jsonl, named, .id = "k", .text = "t", .vector = "v");
}

static void csv_rows(void **state) {
    (void)state;
    static const sample samples[] = {
        {"", "", 0},
        {"text", "", 0},
        {"id,text\n", "", 0},
        {"id,text\n1,a\n2,b", "2 l1|a|\n3 l2|b|\n", 0},
        {"id,text\r\n\"1\",\"a\r\nb\"\r\n\r\nx,\"\"\"q\"\"\"\r\n", "2 t1|a\r\nb|\n5 tx|\"q\"|\n", 0},
        {"\xef\xbb\xbftext,a,b,c\n,1,,\"\"\n", "2 l1||{\"a\":1,\"c\":\"\"}\n", 0},
        {"text,a\nx y,01\nz,\"1\"\nw,1.5e3\nv,1.\n",
         "2 l1|x y|{\"a\":\"01\"}\n3 l2|z|{\"a\":\"1\"}\n4 l3|w|{\"a\":1.5e3}\n5 l4|v|{\"a\":\"1.\"}\n", 0},
        {"text\nsay \"hi\"\n", "2 l1|say \"hi\"|\n", 0},
        {"vector,text\n\"[1,2]\",a\n,b\n", "2 l1|a||1 2\n3 l2|b|\n", 0},
        {"vector\n[1]\n\"\"\n", "2 l1|-||1\n!INVALID", 0},
        {"vector\n[1\n", "!SYNTAX", 0},
        {"vector\n{}\n", "!SYNTAX", 0},
        {"text\n\"open", "!SYNTAX", 0},
        {"text\n\"a\"b\n", "!SYNTAX", 0},
        {"text,x\na\n", "!SYNTAX", 0},
        {"text\na,b\n", "!SYNTAX", 0},
        {"a,b\n1,2\n", "!NOT_FOUND", 0},
        {"text,a,a\n", "!INVALID", 0},
        {"text\n\xff\n", "!ENCODING", 0},
        {"text,\"a\nb\"\nx,1", "3 l1|x|{\"a\\nb\":1}\n", 0},
        {"text\n\"a\"\r", "2 l1|a|\n", 0},
        {"text\n\ra\n", "!SYNTAX", 0},
        {"text\na\0b\n", "!SYNTAX", 9},
        {"text,a\n\xc3,\xa4\n", "!ENCODING", 0},
        {"text,a\na\r,", "2 l1|a\r|\n", 0},
    };
    CHECK(ht_source_csv, samples);
}

/* ---- numbers */

static void canonical_numbers(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool integer, number;
    } samples[] = {{"0", 1, 1},
                   {"7", 1, 1},
                   {"-7", 1, 1},
                   {"-0", 0, 0},
                   {"00", 0, 0},
                   {"01", 0, 0},
                   {"+1", 0, 0},
                   {"1.5", 0, 1},
                   {"1.", 0, 0},
                   {".5", 0, 0},
                   {"1e5", 0, 1},
                   {"1E+5", 0, 1},
                   {"1e", 0, 0},
                   {"-", 0, 0},
                   {"", 0, 0},
                   {" 1", 0, 0},
                   {"1 ", 0, 0},
                   {"1e999", 0, 0},
                   {"0x1", 0, 0},
                   {"inf", 0, 0},
                   {"nan", 0, 0},
                   {"1_0", 0, 0},
                   {"-1.5", 0, 1},
                   {"1,5", 0, 0},
                   {"0.1", 0, 1},
                   {"-0.0", 0, 1},
                   {"1e-400", 0, 1},
                   {"9223372036854775807", 1, 1},
                   {"9223372036854775808", 0, 0},
                   {"-9223372036854775808", 1, 1},
                   {"-9223372036854775809", 0, 0},
                   {"0.12345678901234567", 0, 0},
                   {"0.1234567890123456", 0, 1}};
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        int64_t value;
        const char *text = samples[i].text;
        if (ht_canonical_int(text, strlen(text), &value) != samples[i].integer ||
            ht_canonical_number(text, strlen(text)) != samples[i].number)
            fail_msg("%s", text);
        char back[32];
        if (samples[i].integer) {
            snprintf(back, sizeof back, "%lld", (long long)value);
            assert_string_equal(back, text);
        }
    }
}

/* ---- npy */

static size_t make_npy(char *out, int version, const char *dictionary, const void *data, size_t bytes) {
    size_t length = strlen(dictionary), at = 8;
    memcpy(out, "\x93NUMPY\x01", 8);
    out[6] = (char)version;
    for (int i = 0; i < (version == 1 ? 2 : 4); i++)
        out[at++] = (char)(length >> 8 * i & 255);
    memcpy(out + at, dictionary, length);
    memcpy(out + at + length, data, bytes);
    return at + length + bytes;
}

static void npy_headers(void **state) {
    (void)state;
    static const float data[] = {1, 2, 3, 4, 5, 6};
    static const struct {
        const char *dictionary, *rows;
        int version;
        size_t bytes;
    } samples[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }", "0 l0|-||1 2\n1 l1|-||3 4\n2 l2|-||5 6\n", 1,
         24},
        {"{\"shape\":(2,3),\"fortran_order\":False,\"descr\":\"<f4\"}  \n", "0 l0|-||1 2 3\n1 l1|-||4 5 6\n", 2, 24},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (0, 2), }", "", 3, 0},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }", "!UNSUPPORTED", 4, 24},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }", "!CORRUPT", 1, 23},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }", "!CORRUPT", 1, 24},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (3, 2), }", "!UNSUPPORTED", 1, 24},
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (3, 2), }", "!UNSUPPORTED", 1, 24},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (3, 2), }", "!UNSUPPORTED", 1, 24},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,), }", "!UNSUPPORTED", 1, 24},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }", "!DIMENSION", 1, 24},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (), }", "!DIMENSION", 1, 24},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 3), }", "!DIMENSION", 1, 24},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (6, 0), }", "!DIMENSION", 1, 0},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 65536), }", "!DIMENSION", 1, 24},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }", "!TOO_LARGE", 1, 24},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 4), }", "!SYNTAX", 1, 24},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4), }", "!SYNTAX", 1, 24},
        {"{'descr': '<f4', 'fortran_order': False}", "!SYNTAX", 1, 24},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), 'shape': (3, 2)}", "!SYNTAX", 1, 24},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), 'x': 1}", "!SYNTAX", 1, 24},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2)} x", "!SYNTAX", 1, 24},
        {"__import__('os')", "!SYNTAX", 1, 24},
        {"", "!SYNTAX", 1, 24},
    };
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        char file[512];
        size_t bytes = make_npy(file, samples[i].version, samples[i].dictionary, data, samples[i].bytes);
        ht_reader r;
        ht_source *source = NULL;
        hither_error err = {0};
        ht_buf out;
        ht_buf_init(&out, SIZE_MAX / 2);
        ht_reader_memory(&r, "FILE", file, bytes);
        hither_status opened = ht_source_npy(&r, NULL, &source, &err);
        render(&out, opened, source, &err);
        if (strcmp(out.data ? out.data : "", samples[i].rows) != 0)
            fail_msg("%s\nwanted %s\nhave %s\n%s", samples[i].dictionary, samples[i].rows, out.data, err.message);
        ht_buf_clear(&out);
    }
}

/* Every finite half against the definition of the format. */
static void npy_halves(void **state) {
    (void)state;
    static char file[1 << 18];
    static uint16_t halves[1 << 16];
    size_t count = 0;
    for (unsigned h = 0; h < 1 << 16; h++)
        if ((h >> 10 & 31) != 31)
            halves[count++] = (uint16_t)h;
    char dictionary[100];
    snprintf(dictionary, sizeof dictionary, "{'descr': '<f2', 'fortran_order': False, 'shape': (%zu, 1)}", count);
    size_t bytes = make_npy(file, 1, dictionary, halves, count * 2);
    ht_reader r;
    ht_reader_memory(&r, "FILE", file, bytes);
    float *values;
    size_t rows;
    uint32_t dim;
    assert_int_equal(ht_npy_read(&r, &values, &rows, &dim, NULL), HITHER_OK);
    assert_true(rows == count && dim == 1);
    for (size_t i = 0; i < rows; i++) {
        int exponent = halves[i] >> 10 & 31, mantissa = halves[i] & 1023;
        double value = exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24);
        float want = (float)(halves[i] >> 15 ? -value : value);
        assert_memory_equal(&values[i], &want, sizeof want);
    }
    ht_release(values);
}

static void npy_round_trip(void **state) {
    (void)state;
    const float rows[] = {1.5f, -2, 3e-40f, 4};
    ht_buf file;
    ht_buf_init(&file, 1000);
    ht_npy_header(&file, 2, 2);
    assert_int_equal(file.size % 64, 0);
    ht_buf_put(&file, rows, sizeof rows);
    ht_reader r;
    ht_reader_memory(&r, "FILE", file.data, file.size);
    float *back;
    size_t count;
    uint32_t dim;
    assert_int_equal(ht_npy_read(&r, &back, &count, &dim, NULL), HITHER_OK);
    assert_true(count == 2 && dim == 2);
    assert_memory_equal(back, rows, sizeof rows);
    ht_release(back);
    ht_buf_clear(&file);
}

/* ---- the reader */

static uint64_t random_state;
static uint32_t random_next(uint32_t below) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % below;
}

/* Lines of many lengths, some too long, some ending in \r\n, the last perhaps without an end. */
static size_t make_lines(char *out, size_t room) {
    size_t n = 0;
    while (n + 9000 < room) {
        size_t length = random_next(4) == 0 ? random_next(8000) : random_next(50);
        for (size_t i = 0; i < length; i++)
            out[n++] = random_next(20) ? (char)('a' + random_next(26)) : '\r';
        if (random_next(3) == 0)
            out[n++] = '\r';
        out[n++] = '\n';
    }
    return n - random_next(2);
}

/* What lines cut at max should be, by a slow walk over the bytes. */
static void slow_lines(ht_buf *out, const char *data, size_t bytes, size_t max) {
    for (size_t at = 0; at < bytes;) {
        size_t end = at;
        while (end < bytes && data[end] != '\n')
            end++;
        size_t n = end - at;
        bool cut = n > max && !(n == max + 1 && data[end - 1] == '\r');
        if (!cut && n && data[end - 1] == '\r')
            n--;
        ht_buf_printf(out, "%zu %zu %d:", cut ? max : n, cut ? n - max : 0, end < bytes);
        ht_buf_put(out, data + at, cut ? max : n);
        at = end + 1;
    }
}

static void read_lines(ht_buf *out, ht_reader *r, size_t max) {
    for (;;) {
        ht_line line;
        bool end;
        assert_int_equal(ht_reader_line(r, max, true, &line, &end, NULL), HITHER_OK);
        if (end)
            return;
        ht_buf_printf(out, "%zu %llu %d:", line.bytes, (unsigned long long)line.dropped, line.complete);
        ht_buf_put(out, line.data, line.bytes);
    }
}

static void write_in_pieces(int fd, const char *data, size_t bytes) {
    for (size_t at = 0; at < bytes;) {
        size_t n = 1 + random_next(random_next(2) ? 10 : 5000);
        ssize_t done = write(fd, data + at, ht_min_size(n, bytes - at));
        if (done <= 0)
            _exit(1);
        at += (size_t)done;
    }
    _exit(0);
}

static void reader_in_pieces(void **state) {
    (void)state;
    static char data[200000];
    for (unsigned seed = 1; seed <= 12; seed++) {
        random_state = seed;
        print_message("seed %u\n", seed);
        const size_t max = 1 + random_next(6000), bytes = make_lines(data, sizeof data);
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t writer = fork();
        assert_true(writer >= 0);
        if (writer == 0) {
            close(ends[0]);
            write_in_pieces(ends[1], data, bytes);
        }
        close(ends[1]);
        int kept = dup(STDIN_FILENO);
        dup2(ends[0], STDIN_FILENO);
        ht_buf want, piped, memory;
        ht_buf_init(&want, SIZE_MAX / 2);
        ht_buf_init(&piped, SIZE_MAX / 2);
        ht_buf_init(&memory, SIZE_MAX / 2);
        ht_reader r;
        assert_int_equal(ht_reader_open(&r, "-", NULL), HITHER_OK);
        read_lines(&piped, &r, max);
        assert_true(r.consumed == bytes);
        ht_reader_close(&r);
        ht_reader_memory(&r, "FILE", data, bytes);
        read_lines(&memory, &r, max);
        slow_lines(&want, data, bytes, max);
        assert_true(want.size == piped.size && !memcmp(want.data, piped.data, want.size));
        assert_true(want.size == memory.size && !memcmp(want.data, memory.data, want.size));
        dup2(kept, STDIN_FILENO);
        close(kept);
        close(ends[0]);
        waitpid(writer, NULL, 0);
        ht_buf_clear(&want);
        ht_buf_clear(&piped);
        ht_buf_clear(&memory);
    }
}

/* ---- arguments */

static bool parse(ht_args *args, ht_buf *message, const char *command, int argc, const char **argv) {
    ht_buf_reset(message);
    union {
        const char **in;
        char **out;
    } words = {argv}; /* argv is never written to */
    return ht_args_parse(args, ht_command_find(command), argc, words.out, message);
}

static void arguments(void **state) {
    (void)state;
    ht_args args;
    ht_buf message;
    ht_buf_init(&message, 4000);
    const char *mixed[] = {"db", "-k5", "--json", "name", "--", "-text"};
    assert_true(parse(&args, &message, "search", 6, mixed));
    assert_int_equal(args.count, 3);
    assert_string_equal(args.operands[2], "-text");
    assert_int_equal(ht_args_number(&args, HT_OPT_K, 10), 5);
    assert_true(ht_args_has(&args, HT_OPT_JSON) && !ht_args_has(&args, HT_OPT_ID));
    ht_args_free(&args);
    const char *equals[] = {"db", "name", "--id=-7", "-jk", "3"};
    assert_true(parse(&args, &message, "search", 5, equals));
    assert_string_equal(ht_args_text(&args, HT_OPT_ID, ""), "-7");
    assert_int_equal(ht_args_number(&args, HT_OPT_K, 10), 3);
    ht_args_free(&args);
    const char *negative[] = {"db", "name", "-5", "-"};
    assert_true(parse(&args, &message, "get", 4, negative));
    assert_string_equal(args.operands[2], "-5");
    ht_args_free(&args);
    const char *wrong[] = {"db", "name", "x", "--jsn"};
    assert_false(parse(&args, &message, "search", 4, wrong));
    assert_non_null(strstr(message.data, "did you mean --json?"));
    ht_args_free(&args);
    const char *help[] = {"--help"};
    assert_true(parse(&args, &message, "search", 1, help));
    ht_args_free(&args);
    ht_buf_clear(&message);
}

static void nearest_words(void **state) {
    (void)state;
    static const char *const words[] = {"search", "scan", NULL, "export", "import"};
    assert_string_equal(ht_nearest_word("serch", words, 5), "search");
    assert_string_equal(ht_nearest_word("saerch", words, 5), "search");
    assert_string_equal(ht_nearest_word("imp", words, 5), "import");
    assert_string_equal(ht_nearest_word("exprot", words, 5), "export");
    assert_null(ht_nearest_word("frobnicate", words, 5));
    assert_null(ht_nearest_word("", words, 5));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_lines),        cmocka_unit_test(jsonl_rows),       cmocka_unit_test(csv_rows),
        cmocka_unit_test(canonical_numbers), cmocka_unit_test(npy_headers),      cmocka_unit_test(npy_halves),
        cmocka_unit_test(npy_round_trip),    cmocka_unit_test(reader_in_pieces), cmocka_unit_test(arguments),
        cmocka_unit_test(nearest_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

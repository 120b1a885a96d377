/* output.c: see output.h. Main thread only; the state below is the process's standard output. */
#include "output.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8proc.h>

static ht_terminal terminal;
static char *said; /* where the last message goes instead of standard error; NULL: nowhere */
static size_t said_bytes;
static ht_buf held;    /* all messages meanwhile */
static int lost_errno; /* why standard output went away; 0 while it is there */

void ht_out_begin(void) {
    terminal.tty = isatty(STDOUT_FILENO);
    terminal.error_tty = isatty(STDERR_FILENO);
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    terminal.color = terminal.tty && !(no_color && *no_color) && !(term && !strcmp(term, "dumb"));
    terminal.width = UINT_MAX;
    if (terminal.tty) {
        struct winsize size = {0};
        const char *columns = getenv("COLUMNS");
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col)
            terminal.width = size.ws_col;
        else
            terminal.width = columns && atoi(columns) > 0 ? (unsigned)atoi(columns) : 80;
        if (terminal.width < 20)
            terminal.width = 20;
    }
}

const ht_terminal *ht_out_terminal(void) { return &terminal; }

static bool lost(void) {
    if (!lost_errno)
        lost_errno = errno ? errno : EIO;
    return false;
}

bool ht_out_write(const void *data, size_t bytes) {
    if (lost_errno)
        return false;
    errno = 0;
    return bytes == 0 || fwrite(data, 1, bytes, stdout) == bytes || lost();
}

bool ht_out_buf(ht_buf *buf) {
    bool fine = !buf->failed && ht_out_write(buf->data, buf->size);
    if (buf->failed && !lost_errno)
        lost_errno = ENOMEM;
    ht_buf_reset(buf);
    return fine;
}

bool ht_out_flush(void) {
    if (lost_errno)
        return false;
    errno = 0;
    return fflush(stdout) == 0 || lost();
}

int ht_out_finish(int status) {
    ht_out_flush();
    if (!lost_errno)
        return status;
    if (lost_errno == EPIPE)
        return status;
    ht_say("cannot write to standard output: %s (%s)", strerror(lost_errno), lost_errno == ENOSPC ? "FULL" : "IO");
    return status ? status : 1;
}

/* One write, so that lines of several processes do not mix, and a lost standard error is nobody's problem. */
static void say_bytes(const char *text, size_t bytes) {
    ssize_t ignored = write(STDERR_FILENO, text, bytes);
    (void)ignored;
}

__attribute__((format(printf, 1, 0))) static void say(const char *format, va_list args) {
    char text[4096];
    ht_buf line;
    ht_buf_init(&line, 4 * sizeof text);
    ht_buf_puts(&line, "hither: ");
    int n = vsnprintf(text, sizeof text, format, args);
    for (int i = 0; i < n && text[i]; i++) {
        unsigned char c = (unsigned char)text[i];
        if (terminal.error_tty && (c < 0x20 || c == 0x7f))
            ht_buf_printf(&line, "\\x%02x", c);
        else
            ht_buf_putc(&line, (char)c);
    }
    if (said)
        snprintf(said, said_bytes, "%.*s", (int)(line.size > 8 ? line.size - 8 : 0), line.data ? line.data + 8 : "");
    ht_buf_putc(&line, '\n');
    if (said && !line.failed)
        ht_buf_put(&held, line.data, line.size);
    else if (!line.failed)
        say_bytes(line.data, line.size);
    else
        say_bytes("hither: no memory for a message\n", 32);
    ht_buf_clear(&line);
}

void ht_say_into(char *text, size_t bytes) {
    said = text;
    said_bytes = bytes;
    if (text) {
        ht_buf_init(&held, 1 << 16);
        return;
    }
    if (held.size)
        say_bytes(held.data, held.size);
    ht_buf_clear(&held);
}

void ht_say(const char *format, ...) {
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
}

int ht_report(hither_status status, const hither_error *err) {
    const char *text = err && *err->message ? err->message : "failed";
    ht_say("%s (%s)", text, hither_status_name(status));
    return 1;
}

/* One character of text, its length in *bytes; a byte that begins none is -1. */
static utf8proc_int32_t next_char(const char *text, size_t left, size_t *bytes) {
    utf8proc_int32_t c;
    utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)left, &c);
    *bytes = n > 0 ? (size_t)n : 1;
    return n > 0 ? c : -1;
}

/* Controls, and what reorders or hides text around it. */
static bool unprintable(utf8proc_int32_t c) {
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/* The character as shown into `shown`; returns its columns. */
static unsigned show_char(utf8proc_int32_t c, const char *text, size_t bytes, char shown[16], size_t *length) {
    if (terminal.tty && unprintable(c)) {
        int n = c > 0xff ? snprintf(shown, 16, "\\u%04x", (unsigned)c)
                         : snprintf(shown, 16, "\\x%02x", c < 0 ? (unsigned char)*text : (unsigned)c);
        *length = (size_t)n;
        return (unsigned)n;
    }
    memcpy(shown, text, bytes);
    *length = bytes;
    int width = c < 0 ? 1 : utf8proc_charwidth(c);
    return width > 0 ? (unsigned)width : 0;
}

unsigned ht_show_text(ht_buf *out, const char *text, size_t bytes, unsigned columns) {
    unsigned used = 0, mark_used = 0;
    size_t mark = out->size; /* where the text ends if an ellipsis must follow */
    for (size_t i = 0; i < bytes;) {
        size_t step, length;
        char shown[16];
        utf8proc_int32_t c = next_char(text + i, bytes - i, &step);
        const char *from = c == '\n' || c == '\t' || c == '\r' ? " " : text + i;
        unsigned width = show_char(*from == ' ' ? ' ' : c, from, step, shown, &length);
        if (width > columns - used) {
            if (columns == 0)
                return 0;
            out->size = mark;
            ht_buf_puts(out, "\u2026");
            return mark_used + 1;
        }
        ht_buf_put(out, shown, length);
        used += width;
        if (used < columns) {
            mark = out->size;
            mark_used = used;
        }
        i += step;
    }
    return used;
}

void ht_show_block(ht_buf *out, const char *text, size_t bytes) {
    for (size_t i = 0; i < bytes;) {
        size_t step, length;
        char shown[16];
        utf8proc_int32_t c = next_char(text + i, bytes - i, &step);
        if (c == '\n' || c == '\t')
            ht_buf_putc(out, (char)c);
        else {
            show_char(c, text + i, step, shown, &length);
            ht_buf_put(out, shown, length);
        }
        i += step;
    }
}

void ht_show_dim(ht_buf *out, bool on) {
    if (terminal.color)
        ht_buf_puts(out, on ? "\033[2m" : "\033[0m");
}

void ht_show_bold(ht_buf *out, bool on) {
    if (terminal.color)
        ht_buf_puts(out, on ? "\033[1m" : "\033[0m");
}

void ht_show_count(ht_buf *out, uint64_t number) {
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    for (int i = 0; i < n; i++) {
        if (i && (n - i) % 3 == 0)
            ht_buf_putc(out, ',');
        ht_buf_putc(out, digits[i]);
    }
}

void ht_json_float(ht_buf *out, float value) {
    if (!isfinite(value)) {
        ht_buf_puts(out, "null");
        return;
    }
    char text[32];
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value)
            break;
    }
    ht_buf_puts(out, text);
}

void ht_json_stored(ht_buf *out, const char *text, size_t bytes) {
    char *room = ht_buf_grow(out, bytes);
    for (size_t i = 0; room && i < bytes; i++)
        room[i] = text[i] == '\n' || text[i] == '\r' ? ' ' : text[i]; /* in strings they are escaped */
}

void ht_clean_utf8(ht_buf *out, const char *text, size_t bytes) {
    while (bytes) {
        size_t good = ht_utf8_valid_prefix(text, bytes);
        ht_buf_put(out, text, good);
        if (good < bytes) {
            ht_buf_puts(out, "\xef\xbf\xbd");
            good++;
        }
        text += good;
        bytes -= good;
    }
}

void ht_json_text(ht_buf *out, const char *text, size_t bytes) {
    if (ht_utf8_valid_prefix(text, bytes) == bytes) {
        ht_buf_json_string(out, text, bytes);
        return;
    }
    ht_buf clean;
    ht_buf_init(&clean, SIZE_MAX / 2);
    ht_clean_utf8(&clean, text, bytes);
    out->failed |= clean.failed;
    ht_buf_json_string(out, clean.data, clean.size);
    ht_buf_clear(&clean);
}

void ht_json_id(ht_buf *out, const hither_ids *ids, size_t i) {
    if (ids->ints) {
        ht_buf_printf(out, "%lld", (long long)ids->ints[i]);
        return;
    }
    ht_text id = ht_strings_at(&ids->strings, i);
    ht_buf_json_string(out, id.data, id.bytes);
}

void ht_show_id(ht_buf *out, const hither_ids *ids, size_t i) {
    if (ids->ints) {
        ht_buf_printf(out, "%lld", (long long)ids->ints[i]);
        return;
    }
    ht_text id = ht_strings_at(&ids->strings, i);
    ht_show_text(out, id.data, id.bytes, UINT_MAX);
}

enum { COLUMNS_MAX = 32 };

unsigned ht_columns(const char *text, size_t bytes) {
    unsigned used = 0;
    for (size_t i = 0; i < bytes;) {
        size_t step;
        utf8proc_int32_t c = next_char(text + i, bytes - i, &step);
        int width = c < 0 ? 1 : utf8proc_charwidth(c);
        used += width > 0 ? (unsigned)width : 0;
        i += step;
    }
    return used;
}

bool ht_print_table(const ht_buf *cells, uint32_t right) {
    unsigned widths[COLUMNS_MAX] = {0};
    for (int pass = 0; pass < 2; pass++) {
        ht_buf line;
        ht_buf_init(&line, SIZE_MAX / 2);
        unsigned column = 0;
        for (size_t i = 0; i < cells->size && column < COLUMNS_MAX;) {
            size_t n = 0;
            while (cells->data[i + n] != '\t' && cells->data[i + n] != '\n')
                n++;
            bool last = cells->data[i + n] == '\n';
            unsigned width = ht_columns(cells->data + i, n), pad = 0;
            if (pass == 0 && width > widths[column])
                widths[column] = width;
            else if (pass == 1)
                pad = widths[column] - width;
            bool to_right = right >> column & 1;
            ht_buf_printf(&line, "%*s", to_right ? (int)pad : 0, "");
            ht_buf_put(&line, cells->data + i, n);
            if (!last)
                ht_buf_printf(&line, "%*s", (to_right ? 0 : (int)pad) + 2, "");
            else
                ht_buf_putc(&line, '\n');
            column = last ? 0 : column + 1;
            i += n + 1;
        }
        bool fine = pass == 0 || ht_out_buf(&line);
        ht_buf_clear(&line);
        if (!fine)
            return false;
    }
    return !cells->failed;
}

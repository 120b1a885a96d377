/*
 * wal.c: see wal.h.
 */
#include "store/wal.h"

#include <string.h>

#include "base/alloc.h"

enum { MAGIC = 0x377f0682, VERSION = 3007000, PAGE = 4096, FRAME_HEAD = 24, SCANS = 8 };

typedef struct sums {
    uint32_t a, b;
} sums;

static uint32_t big_u32(const unsigned char *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}
static uint32_t little_u32(const unsigned char *at) {
    return (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}

/* SQLite's own checksum: each 8 bytes as two words, the words in the order the header's first bit says. */
static sums add(sums s, const unsigned char *data, size_t bytes, bool big) {
    for (size_t i = 0; i < bytes; i += 8) {
        uint32_t x = big ? big_u32(data + i) : little_u32(data + i);
        uint32_t y = big ? big_u32(data + i + 4) : little_u32(data + i + 4);
        s.a += x + s.b;
        s.b += y + s.a;
    }
    return s;
}

static sums stored(const unsigned char *at) { return (sums){big_u32(at), big_u32(at + 4)}; }
static bool equal(sums x, sums y) { return x.a == y.a && x.b == y.b; }

/* Whether the frame continues a chain of checksums that stands at `before`. */
static bool continues(const unsigned char *frame, sums before, bool big) {
    return equal(add(add(before, frame, 8, big), frame + FRAME_HEAD, PAGE, big), stored(frame + 16));
}

static bool salted(const unsigned char *frame, const unsigned char *header) {
    return memcmp(frame + 8, header + 16, 8) == 0;
}

static hither_status read_frame(const ht_wal *wal, uint32_t index, unsigned char *frame, hither_error *err) {
    return wal->read(wal->ctx, frame, HT_WAL_FRAME, HT_WAL_HEADER + (uint64_t)index * HT_WAL_FRAME, err);
}

static hither_status read_head(const ht_wal *wal, uint32_t index, unsigned char *frame, hither_error *err) {
    return wal->read(wal->ctx, frame, FRAME_HEAD, HT_WAL_HEADER + (uint64_t)index * HT_WAL_FRAME, err);
}

/* Whether the first bad frame, which comes after a chain at `before`, ended a commit. Its salts are in no checksum: if
 * the rest fits, they are what is bad. And the number that says so may have lost its one bit. */
static bool ended_commit(unsigned char *frame, const unsigned char *header, sums before, bool big) {
    if (big_u32(frame + 4) != 0)
        return salted(frame, header) || continues(frame, before, big);
    bool fits = false;
    for (unsigned bit = 0; bit < 32 && !fits && salted(frame, header); bit++) {
        frame[4 + bit / 8] = (unsigned char)(1u << bit % 8);
        fits = continues(frame, before, big);
        frame[4 + bit / 8] = 0;
    }
    return fits;
}

/* From the first bad frame on: is there a commit with a further frame that continues from it? Frames are written after
 * a commit only once it is durable, so then the bad frame was durable too. What a transaction that was rolled back left
 * behind does not continue from a commit written over it. `chain` stands before the bad frame. */
static hither_status find_later_commit(const ht_wal *wal, const unsigned char *header, sums chain, uint32_t number,
                                       uint32_t count, unsigned char *frame, bool *found, hither_error *err) {
    bool big = header[3] & 1;
    *found = false;
    HT_TRY(read_frame(wal, number, frame, err));
    bool after_commit = ended_commit(frame, header, chain, big);
    sums right = add(add(chain, frame, 8, big), frame + FRAME_HEAD, PAGE, big); /* its own may be what is bad */
    chain = stored(frame + 16);
    while (++number < count && !*found) {
        HT_TRY(read_head(wal, number, frame, err)); /* most of what lies there is of an earlier log */
        bool ours = salted(frame, header);
        if (ours && after_commit) {
            HT_TRY(read_frame(wal, number, frame, err));
            *found = continues(frame, chain, big) || continues(frame, right, big);
        }
        after_commit = ours && big_u32(frame + 4) != 0;
        chain = right = stored(frame + 16);
    }
    return HITHER_OK;
}

/* The number of frames up to the last commit, of those from the first on that have its salts. */
static hither_status count_generation(const ht_wal *wal, uint32_t count, unsigned char *frame, uint32_t *out,
                                      hither_error *err) {
    unsigned char salts[8];
    uint32_t commits = 0;
    for (uint32_t i = 0; i < count; i++) {
        HT_TRY(read_frame(wal, i, frame, err));
        if (i == 0)
            memcpy(salts, frame + 8, sizeof salts);
        if (memcmp(frame + 8, salts, sizeof salts) != 0)
            break;
        if (big_u32(frame + 4) != 0)
            commits = i + 1;
    }
    *out = commits;
    return HITHER_OK;
}

/* Whether the main file has the last version of every page in the first `frames` frames. */
static hither_status is_folded(const ht_wal *wal, uint32_t frames, unsigned char *frame, unsigned char *seen, bool *out,
                               hither_error *err) {
    unsigned char page[PAGE];
    uint32_t pages = 0; /* of the database as the last commit left it */
    *out = false;
    while (frames-- > 0) { /* backwards: what is met first is the last version */
        HT_TRY(read_frame(wal, frames, frame, err));
        uint32_t number = big_u32(frame);
        if (!pages)
            pages = big_u32(frame + 4);
        if (number > pages) /* the database has shrunk since */
            continue;
        if (number < 1 || number > wal->pages)
            return HITHER_OK;
        if (seen[(number - 1) / 8] >> ((number - 1) % 8) & 1)
            continue;
        seen[(number - 1) / 8] = (unsigned char)(seen[(number - 1) / 8] | 1u << (number - 1) % 8);
        /* The last 8 bytes are the main file's own. */
        if (wal->read_page(wal->ctx, number, page, NULL) != HITHER_OK ||
            memcmp(page, frame + FRAME_HEAD, PAGE - 8) != 0)
            return HITHER_OK;
    }
    *out = true;
    return HITHER_OK;
}

/* The header fails its checksum, so SQLite takes nothing of the log. That is right while the log starts over: then the
 * main file has all of it, or the header has other salts than the old frames. */
static hither_status judge_header(const ht_wal *wal, const unsigned char *header, uint32_t count, unsigned char *frame,
                                  bool *damaged, hither_error *err) {
    *damaged = false;
    if (count == 0)
        return HITHER_OK;
    HT_TRY(read_frame(wal, 0, frame, err));
    if (memcmp(frame + 8, header + 16, 4) != 0 && memcmp(frame + 12, header + 20, 4) != 0)
        return HITHER_OK;
    uint32_t frames = 0;
    bool folded = false;
    HT_TRY(count_generation(wal, count, frame, &frames, err));
    unsigned char *seen = ht_calloc((size_t)(wal->pages / 8) + 1, 1);
    if (!seen)
        return ht_fail_nomem(err, (size_t)(wal->pages / 8) + 1, "a list of pages");
    hither_status status = is_folded(wal, frames, frame, seen, &folded, err);
    ht_release(seen);
    *damaged = !folded;
    return status;
}

static hither_status scan(const ht_wal *wal, const unsigned char *header, unsigned char *frame, ht_wal_scan *out,
                          hither_error *err) {
    uint64_t frames = (wal->bytes - HT_WAL_HEADER) / HT_WAL_FRAME;
    uint32_t count = frames > UINT32_MAX ? UINT32_MAX : (uint32_t)frames;
    bool big = header[3] & 1;
    sums chain = add((sums){0, 0}, header, 24, big);
    out->salts[0] = big_u32(header + 16);
    out->salts[1] = big_u32(header + 20);
    if ((big_u32(header) & ~1u) != MAGIC || big_u32(header + 4) != VERSION || big_u32(header + 8) != PAGE ||
        !equal(chain, stored(header + 24)))
        return judge_header(wal, header, count, frame, &out->damaged, err);
    if (wal->known > 0 && wal->known <= count) {
        HT_TRY(read_head(wal, wal->known - 1, frame, err));
        if (salted(frame, header)) {
            out->good = wal->known;
            chain = stored(frame + 16);
        }
    }
    for (; out->good < count; out->good++) {
        HT_TRY(read_frame(wal, out->good, frame, err));
        if (!salted(frame, header) || !continues(frame, chain, big))
            return find_later_commit(wal, header, chain, out->good, count, frame, &out->damaged, err);
        chain = stored(frame + 16);
        if (wal->frame)
            wal->frame(wal->ctx, out->good + 1, big_u32(frame));
    }
    return HITHER_OK;
}

static hither_status scan_once(const ht_wal *wal, unsigned char *frame, ht_wal_scan *out, hither_error *err) {
    unsigned char header[HT_WAL_HEADER];
    *out = (ht_wal_scan){0};
    HT_TRY(wal->read(wal->ctx, header, sizeof header, 0, err));
    return scan(wal, header, frame, out, err);
}

static bool is_same(const ht_wal_scan *a, const ht_wal_scan *b) {
    return a->good == b->good && a->damaged == b->damaged && memcmp(a->salts, b->salts, sizeof a->salts) == 0;
}

hither_status ht_wal_scan_file(const ht_wal *wal, ht_wal_scan *out, hither_error *err) {
    *out = (ht_wal_scan){0};
    if (wal->bytes < HT_WAL_HEADER)
        return HITHER_OK;
    unsigned char *frame = ht_alloc(HT_WAL_FRAME);
    if (!frame)
        return ht_fail_nomem(err, HT_WAL_FRAME, "a frame of the log");
    ht_wal_scan before;
    hither_status status = scan_once(wal, frame, out, err);
    /* Where somebody writes, a frame may be read half written, and then what was written after it. It is whole a moment
     * later; damage stays. */
    for (int scans = 1; status == HITHER_OK && out->damaged; scans++) {
        before = *out;
        status = scan_once(wal, frame, out, err);
        if (is_same(&before, out))
            break;
        if (scans == SCANS)
            out->damaged = false;
    }
    ht_release(frame);
    return status;
}

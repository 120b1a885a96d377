/*
 * topk.c: the heap behind topk.h. hits[0] is the worst kept hit; every parent is worse than, or the same as, its
 * children. The order is total as long as no distance is NaN. One thread.
 */
#include "base/topk.h"

#include <math.h>

/* Puts `hit` in place of hits[i], letting worse children rise until it fits. */
static void sift_down(ht_hit *hits, size_t count, size_t i, ht_hit hit) {
    for (size_t child; (child = 2 * i + 1) < count; i = child) {
        if (child + 1 < count && ht_hit_before(hits[child], hits[child + 1]))
            child++;
        if (!ht_hit_before(hit, hits[child]))
            break;
        hits[i] = hits[child];
    }
    hits[i] = hit;
}

void ht_topk_push(ht_topk *top, ht_hit hit) {
    if (top->count == top->k) {
        if (top->k > 0 && ht_hit_before(hit, top->hits[0]))
            sift_down(top->hits, top->count, 0, hit);
        return;
    }
    size_t i = top->count++;
    while (i > 0 && ht_hit_before(top->hits[(i - 1) / 2], hit)) {
        top->hits[i] = top->hits[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    top->hits[i] = hit;
}

double ht_topk_limit(const ht_topk *top) {
    if (top->count < top->k)
        return (double)INFINITY;
    return top->k > 0 ? top->hits[0].distance : -(double)INFINITY;
}

void ht_topk_sort(ht_topk *top) {
    for (size_t end = top->count; end > 1; end--) {
        ht_hit worst = top->hits[0], last = top->hits[end - 1];
        sift_down(top->hits, end - 1, 0, last);
        top->hits[end - 1] = worst;
    }
}

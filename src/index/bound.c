/*
 * bound.c: the proof of docs/decisions/0006-exact-bound.md in code. The names of its terms are those of the proof;
 * every rounding goes outward, towards keeping the row.
 */
#include "index/bound.h"

#include <float.h>
#include <math.h>

#ifdef HT_ASSERTIONS
double ht_bound_test_scale = 1, ht_bound_test_coarse = 1, ht_bound_test_range = 1;
#endif

/* Covers D's own f64 sums at any dimension (at most 2^-40 relative) and the f64 arithmetic here. */
static const double REFERENCE_ERROR = 0x1p-38;

static float round_down(double x) {
    float f = (float)x;
    return (double)f > x ? nextafterf(f, -INFINITY) : f;
}

static float round_up(double x) { return -round_down(-x); }

static void set_allowances(ht_bound *bound, uint32_t dim, bool given_norms) {
    bound->tiny = (double)dim * 0x1p-149 + 0x1p-140;
    bound->rounding = 0x1p-20;
    bound->norm = given_norms ? ((double)dim / 2 + 16) * 0x1p-23 + 0x1p-20 : bound->sum + 0x1p-20;
    bound->small = given_norms ? 0x1p-126 : 0x1p-49;
#ifdef HT_ASSERTIONS
    bound->sum *= ht_bound_test_scale;
    bound->norm *= ht_bound_test_scale;
    bound->rounding *= ht_bound_test_scale;
#endif
}

ht_bound ht_bound_make(hither_metric metric, bool by_dot, bool given_norms, const ht_kernels *kernels, uint32_t dim) {
    ht_bound bound = {.metric = metric};
    bound.direct = metric == HITHER_L1 || metric == HITHER_HAMMING || (metric == HITHER_L2 && !by_dot);
    bound.sum = metric == HITHER_HAMMING ? 0 : ((double)dim / kernels->lanes + 8) * 0x1p-23;
    set_allowances(&bound, dim, given_norms);
    return bound;
}

void ht_bound_widen(ht_bound *bound, uint32_t dim) {
    double allowance = 0x1p-22;
#ifdef HT_ASSERTIONS
    allowance *= ht_bound_test_scale;
#endif
    if (bound->direct)
        bound->widened = allowance * sqrt((double)dim);
    else
        bound->sum += allowance;
    bound->small = 0x1p-49;
}

ht_bound ht_bound_make_codes(hither_metric metric, uint32_t dim, double error) {
    ht_bound bound = {.metric = metric, .sum = error};
    set_allowances(&bound, dim, true);
    return bound;
}

/* An error whose tails are no heavier than a normal one's exceeds z standard deviations with a chance of at most
 * exp(-z * z / 2); the one more is for data that is not that kind. */
double ht_bound_standard_errors(double recall) { return recall > 0 && recall < 1 ? sqrt(-2 * log1p(-recall)) + 1 : 0; }

double ht_bound_share(double standard_errors, uint32_t dim) {
    double share = standard_errors / sqrt((double)dim);
    return standard_errors > 0 && share < 1 ? share : 1;
}

double ht_bound_length(double qq) { return sqrt(qq) * (1 + REFERENCE_ERROR); }

static ht_rule rule_dot(const ht_bound *b, double q, double threshold) {
    double error = (b->sum + REFERENCE_ERROR) * (1 + b->norm);
    double limit = -threshold;
    limit -= fabs(limit) * 0x1p-50 + 2 * b->tiny + 2 * b->small * error * q;
    return (ht_rule){1, round_up(q * (error + b->rounding) + 0x1p-148), 0, round_down(limit)};
}

static ht_rule rule_cosine(const ht_bound *b, double q, double threshold) {
    if (threshold >= 2)
        return (ht_rule){1, 0, 0, -INFINITY};
    double least = 1 - threshold - REFERENCE_ERROR - b->sum - (1.1 + b->sum) * b->norm - b->rounding;
    double limit = -(4 * q * b->small + 4 * b->tiny);
    return (ht_rule){1, round_up(-least * q), 0, round_down(limit)};
}

static ht_rule rule_l2_by_dot(const ht_bound *b, double qq, double q, double threshold) {
    double error = (b->sum + REFERENCE_ERROR) * (1 + b->norm);
    double limit = (qq * (1 - REFERENCE_ERROR) - threshold * (1 + REFERENCE_ERROR)) / 2;
    limit -= 2 * b->tiny + 2 * b->small * error * q + b->small * b->small;
    float by_norm = round_up(q * (error + b->rounding) + 0x1p-148);
    return (ht_rule){1, by_norm, round_up(-(0.5 - b->norm - b->rounding)), round_down(limit)};
}

static ht_rule rule_direct(const ht_bound *b, double q, double threshold) {
    double off = 1.02 * b->widened * (1 + b->norm + b->rounding);
    double most = threshold * (1 + 1.02 * b->sum + REFERENCE_ERROR) + 2 * b->tiny + off * (q + 2 * b->small);
    return (ht_rule){-1, round_up(off), 0, round_down(-most)};
}

ht_rule ht_bound_rule(const ht_bound *bound, double qq, double threshold) {
    if (isinf(threshold))
        return (ht_rule){1, 0, 0, -INFINITY};
    double q = ht_bound_length(qq);
    if (bound->direct)
        return rule_direct(bound, q, threshold);
    if (bound->metric == HITHER_DOT)
        return rule_dot(bound, q, threshold);
    if (bound->metric == HITHER_COSINE)
        return rule_cosine(bound, q, threshold);
    return rule_l2_by_dot(bound, qq, q, threshold);
}

ht_range ht_bound_range(const ht_bound *b, double qq, double q, double e, double n) {
    const ht_range unknown = {-(double)INFINITY, (double)INFINITY};
    double middle = e, off;
    if (!isfinite(e) || !isfinite(n))
        return unknown;
    double x = n * (1 + b->norm) + 2 * b->small, dot = (b->sum + REFERENCE_ERROR) * q * x + 2 * b->tiny;
    if (b->direct) {
        off = fabs(e) * (1.02 * b->sum + 2 * REFERENCE_ERROR) + 2 * b->tiny + 1.02 * b->widened * (q + x);
    } else if (b->metric == HITHER_DOT) {
        middle = -e;
        off = dot;
    } else if (b->metric == HITHER_COSINE) {
        if (!(n >= b->small))
            return unknown;
        double per_length = 1 / (q * n);
        middle = 1 - e * per_length;
        off = REFERENCE_ERROR + b->sum + (1.1 + b->sum) * b->norm + b->rounding + 4 * b->tiny * per_length;
    } else {
        double lengths = qq + x * x;
        middle = qq + n * n - 2 * e;
        off = 2 * dot + 2.2 * b->norm * n * n + 4 * b->small * b->small + 4 * REFERENCE_ERROR * lengths;
    }
#ifdef HT_ASSERTIONS
    off *= ht_bound_test_range;
#endif
    ht_range range = {middle - off, middle + off};
    if (!isfinite(range.low) || !isfinite(range.high))
        return unknown;
    if (b->metric == HITHER_COSINE) /* where D is clamped, a range is too */
        range = (ht_range){range.low > 2 ? 2 : range.low, range.high < 0 ? 0 : range.high};
    return range;
}

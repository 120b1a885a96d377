/*
 * bound.h: from a threshold on D to a rule on f32 estimates: a row the rule drops has a D above the threshold, by the
 * proof in docs/decisions/0006-exact-bound.md. Nothing else in the library may turn an estimate into a verdict.
 * Pure functions; any thread.
 */
#ifndef HT_INDEX_BOUND_H
#define HT_INDEX_BOUND_H

#include <stdbool.h>

#include "hither.h"
#include "kernels/kernels.h"

/* What the errors of one search depend on. */
typedef struct ht_bound {
    hither_metric metric;
    bool direct;     /* the estimate is of the distance itself; otherwise of the dot product */
    double sum;      /* relative error of an f32 sum: (dim/L + 8) * 2^-23 */
    double norm;     /* |x| is in norm * (1 -+ this), if norm >= small */
    double small;    /* rows below it are below twice it in truth */
    double tiny;     /* absolute error of an f32 sum by underflow */
    double rounding; /* a few units in the last place, for the evaluation of a rule */
    double widened;  /* direct estimates may be off by this * (|q| + |x|), as their rows were rounded to f32 */
} ht_bound;

/* by_dot: l2 comes from dot products and norms instead of from differences. given_norms: norms are as exact.h says of
 * ht_part; otherwise square roots of the kernels' norm2. */
ht_bound ht_bound_make(hither_metric metric, bool by_dot, bool given_norms, const ht_kernels *kernels, uint32_t dim);

/* The bound for rows and queries that were rounded to f32 before they were compared (stored.h). by_dot was true for
 * l2. Queries are of lengths 2^-60 ... 2^60, or given in f32. */
void ht_bound_widen(ht_bound *bound, uint32_t dim);

/* The same for upper bounds from codes: the true dot product is at most upper + error * |q| * |x| (codes.h). */
ht_bound ht_bound_make_codes(hither_metric metric, uint32_t dim, double error);

/* What D can be of a row with this estimate and norm, from -inf to +inf where the estimate says nothing: an estimate or
 * norm that is not finite, a length too small. The bound is none of codes. */
typedef struct ht_range {
    double low, high;
} ht_range;
ht_range ht_bound_range(const ht_bound *bound, double qq, double q, double estimate, double norm);
/* The q that ht_bound_range wants: the root of qq, rounded up. */
double ht_bound_length(double qq);

/* How many standard errors of a code's error the bound of a search for this recall spans; 0 for exact search (a recall
 * of 0 or 1), whose bounds are proofs. */
double ht_bound_standard_errors(double recall);

/* The share of the provable error of codes that many standard errors are: an error in no particular direction has a
 * standard deviation of 1/sqrt(dim) of its length along the query. */
double ht_bound_share(double standard_errors, uint32_t dim);

/* The rule that drops only rows whose D is above threshold (+inf: none). qq is the reference dot of the query with
 * itself. */
ht_rule ht_bound_rule(const ht_bound *bound, double qq, double threshold);

#ifdef HT_ASSERTIONS
/* For the test that the tests can fail: every allowance is multiplied by this. 1 at the start. Not while a search
 * runs. */
extern double ht_bound_test_scale;
/* The same for one step alone: what coarse halves leave of their rows, and the width of the range an estimate gives. */
extern double ht_bound_test_coarse, ht_bound_test_range;
#endif

#endif

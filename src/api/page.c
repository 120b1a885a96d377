/*
 * page.c: the part of hither.h that lists a collection and counts its values. Any thread. (A cursor's own functions are
 * in cursor.c.)
 */
#include "api/collection.h"
#include "kernels/kernels.h"

#define DEFAULT_LIMIT 100u

static hither_status check_page(hither_page_options *o, hither_error *err) {
    HT_TRY(ht_include_check(o->include, err));
    if (o->limit > HITHER_MAX_PAGE)
        return ht_fail(err, HITHER_TOO_LARGE, "limit is %u; a page has at most %u rows", o->limit, HITHER_MAX_PAGE);
    if (o->descending > 1)
        return ht_fail(err, HITHER_INVALID, "descending is %u; it is 0 or 1", o->descending);
    if (o->descending && !o->order_by)
        return ht_fail(err, HITHER_INVALID, "descending without order_by");
    if (o->offset && o->after)
        return ht_fail(err, HITHER_INVALID, "a page has an offset or a token to go on behind, not both");
    if (!o->limit)
        o->limit = DEFAULT_LIMIT;
    return HITHER_OK;
}

hither_status hither_collection_page(hither_collection *c, const hither_page_options *options, hither_result **out,
                                     hither_error *err) {
    hither_page_options o;
    ht_filter *filter = NULL, *order = NULL;
    HT_TRY(ht_call_check(c, out, err));
    HT_TRY(ht_options_read(&o, sizeof o, options, "hither_page_options", err));
    HT_TRY(check_page(&o, err));
    ht_fp_state fp = ht_fp_enter();
    hither_status status = ht_reading_where(c, o.where, &filter, err);
    if (status == HITHER_OK)
        status = ht_field_parse(o.order_by, "order_by", &order, err);
    ht_page page = {.filter = filter,
                    .order = order,
                    .where = o.where,
                    .order_by = o.order_by,
                    .descending = o.descending,
                    .include = o.include,
                    .limit = o.limit,
                    .offset = o.offset,
                    .after = o.after};
    if (status == HITHER_OK)
        status = ht_collection_page(c->inner, &page, out, err);
    ht_filter_free(filter);
    ht_filter_free(order);
    ht_fp_leave(fp);
    return status;
}

hither_status hither_collection_facets(hither_collection *c, const char *field, const char *where, uint32_t limit,
                                       hither_result **out, hither_error *err) {
    ht_filter *filter = NULL, *wanted = NULL;
    HT_TRY(ht_call_check(c, field && out ? out : NULL, err));
    ht_fp_state fp = ht_fp_enter();
    hither_status status = ht_reading_where(c, where, &filter, err);
    if (status == HITHER_OK)
        status = ht_field_parse(field, "field", &wanted, err);
    if (status == HITHER_OK)
        status = ht_collection_facets(c->inner, wanted, filter, limit ? limit : DEFAULT_LIMIT, out, err);
    ht_filter_free(filter);
    ht_filter_free(wanted);
    ht_fp_leave(fp);
    return status;
}

/* Four birds in a folder, and the two most like a question: what README.md shows. Run it twice: the folder stays. */
#include <hither.h>
#include <stdio.h>

static hither_error err;
static int failed(hither_status status) {
    return status != HITHER_OK && fprintf(stderr, "%s: %s\n", hither_status_name(status), err.message);
}

int main(void) {
    int64_t ids[] = {1, 2, 3, 4}; /* what they eat: fish, mice, seeds, insects */
    float birds[][4] = {{1, 0, 0, 0}, {0, 1, 0, 0.1f}, {0, 0, 1, 0.2f}, {0, 0, 0.3f, 1}}, wish[] = {0, 0.2f, 0.4f, 1};
    hither_batch rows = {
        .size = sizeof rows, .ids = {.ints = ids, .count = 4}, .vectors = {birds, 4, 4, 0, HITHER_F32}};
    hither_query query = {.size = sizeof query, .vectors = {wish, 1, 4, 0, HITHER_F32}};
    hither_db *db = NULL;
    hither_collection *diet = NULL;
    hither_result *hits = NULL;
    if (failed(hither_db_open("birds.hither", NULL, &db, &err)) ||
        failed(hither_collection_open(db, "diet", HITHER_OPTIONS(hither_collection_options, .dim = 4), &diet, &err)) ||
        failed(hither_collection_put(diet, HITHER_UPSERT, &rows, NULL, &err)) ||
        failed(hither_collection_search(diet, &query, 2, NULL, &hits, &err)))
        return 1;
    for (size_t i = 0; i < hither_result_count(hits, 0); i++)
        printf("bird %d at cosine distance %.4f\n", (int)hither_result_ids(hits, 0).ints[i],
               hither_result_distances(hits, 0)[i]);
    hither_result_free(hits);
    hither_collection_close(diet);
    hither_db_close(db);
    return 0;
}

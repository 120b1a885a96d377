/*
 * bench_memory.c: the memory of a C program that searches a database: what it has resident after a hundred searches,
 * mapped pages counted, as one JSON object.
 *
 *   bench_memory FOLDER COLLECTION
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hither.h>

enum { SEARCHES = 100, K = 10 };

static void must(hither_status status, const hither_error *err) {
    if (status) {
        fprintf(stderr, "%s\n", err->message);
        exit(1);
    }
}

static double status_mb(const char *key) {
    char line[256];
    double kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, key, strlen(key)) == 0)
            kib = atof(line + strlen(key));
    }
    if (file)
        fclose(file);
    return kib / 1024;
}

int main(int argc, char **argv) {
    hither_error err;
    hither_db *db;
    hither_collection *c;
    hither_result *result;
    if (argc != 3)
        return 2;
    hither_db_options options = {.size = sizeof options, .flags = HITHER_OPEN_READONLY};
    must(hither_db_open(argv[1], &options, &db, &err), &err);
    hither_collection_options existing = {.size = sizeof existing, .flags = HITHER_COLLECTION_EXISTING};
    must(hither_collection_open(db, argv[2], &existing, &c, &err), &err);
    hither_cursor *rows;
    must(hither_collection_scan(c, NULL, HITHER_INCLUDE_VECTORS, &rows, &err), &err);
    for (int i = 0; i < SEARCHES; i++) {
        hither_result *one;
        must(hither_cursor_next(rows, 1, &one, &err), &err);
        hither_query query = {.size = sizeof query, .vectors = hither_result_vectors(one, 0)};
        must(hither_collection_search(c, &query, K, NULL, &result, &err), &err);
        hither_result_free(result);
        hither_result_free(one);
    }
    hither_cursor_close(rows);
    printf("{\"c_mb\": %.1f, \"c_mapped_mb\": %.1f}\n", status_mb("VmRSS:"), status_mb("RssFile:"));
    hither_collection_close(c);
    hither_db_close(db);
    return 0;
}

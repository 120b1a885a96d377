/* The smallest program with a database in it; program.cc is the same as C++. */
#include <hither.h>
#include <stdio.h>
#include <string.h>

int main(void) {
    hither_error err;
    hither_db *db = NULL;
    hither_collection *rows = NULL;
    hither_collection_options options;
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.dim = 4;
    if (hither_db_open(":memory:", NULL, &db, &err) != HITHER_OK ||
        hither_collection_open(db, "rows", &options, &rows, &err) != HITHER_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    hither_collection_close(rows);
    hither_db_close(db);
    printf("hither %s\n", hither_version());
    return 0;
}

/* cmd_backup.c: backup, restore, pack and repair. Each function is a command of the table. */
#include "commands.h"
#include "database.h"
#include "output.h"

static int copy(const ht_args *args, hither_status (*make)(hither_db *, const char *, hither_error *)) {
    hither_error err;
    hither_db *db;
    hither_status status = ht_open_database(args->operands[0], HT_OPEN_READ, &db, &err);
    if (status == HITHER_OK) {
        status = make(db, args->operands[1], &err);
        hither_db_close(db);
    }
    return status == HITHER_OK ? HT_EXIT_OK : ht_report(status, &err);
}

/* Both read one database and make a folder. */
int ht_run_backup(const ht_args *args) { return copy(args, hither_db_backup); }
int ht_run_restore(const ht_args *args) { return copy(args, hither_db_backup); }
int ht_run_pack(const ht_args *args) { return copy(args, hither_db_pack); }

int ht_run_repair(const ht_args *args) {
    hither_error err;
    hither_result *report = NULL;
    hither_status status = hither_db_repair(args->operands[0], args->operands[1], &report, &err);
    if (status != HITHER_OK)
        return ht_report(status, &err);
    size_t findings = hither_result_count(report, 0);
    if (findings)
        ht_print_findings(report);
    hither_result_free(report);
    return findings ? HT_EXIT_DAMAGE : HT_EXIT_OK;
}

# The C libraries that hither stands on, as the targets PkgConfig::SQLITE, ::JANSSON and ::UTF8PROC: the system's, found
# by pkg-config, or, with HITHER_BUNDLED=DIR, built into hither from the sources that tools/sources.sh put into DIR.
# Bundled ones are static, hidden, and have no shared state with another copy in the process.
if(EXISTS ${PROJECT_SOURCE_DIR}/third_party/sqlite3/sqlite3.c)
    set(bundled_default ${PROJECT_SOURCE_DIR}/third_party) # an archive made by `make sdist`
endif()
set(HITHER_BUNDLED "${bundled_default}" CACHE PATH "build SQLite, jansson and utf8proc from the sources in this folder")

if(NOT HITHER_BUNDLED)
    find_package(PkgConfig)
    set(needed "hither needs SQLite 3.40, jansson 2.13 and utf8proc 2.5, or newer, with their headers, and pkg-config. "
        "On Debian and Ubuntu:\n  apt-get install pkg-config libsqlite3-dev libjansson-dev libutf8proc-dev")
    if(NOT PkgConfig_FOUND)
        message(FATAL_ERROR "pkg-config was not found. " ${needed})
    endif()
    pkg_check_modules(SQLITE IMPORTED_TARGET sqlite3>=3.40)
    pkg_check_modules(JANSSON IMPORTED_TARGET jansson>=2.13)
    pkg_check_modules(UTF8PROC IMPORTED_TARGET libutf8proc>=2.5)
    if(NOT SQLITE_FOUND OR NOT JANSSON_FOUND OR NOT UTF8PROC_FOUND)
        message(FATAL_ERROR ${needed})
    endif()
    return()
endif()

find_package(Threads REQUIRED)
get_filename_component(HITHER_BUNDLED "${HITHER_BUNDLED}" ABSOLUTE BASE_DIR ${PROJECT_SOURCE_DIR})

# bundled(name alias sources...): a static library of somebody else's sources, whose warnings are not ours.
function(bundled name alias)
    add_library(bundled_${name} STATIC ${ARGN})
    target_include_directories(bundled_${name} SYSTEM PUBLIC ${HITHER_BUNDLED}/${name})
    target_compile_options(bundled_${name} PRIVATE -w -ffp-contract=off -ffunction-sections -fdata-sections)
    target_link_options(bundled_${name} INTERFACE LINKER:--gc-sections) # most of SQLite's functions are not called
    set_target_properties(bundled_${name} PROPERTIES C_EXTENSIONS ON)
    add_library(PkgConfig::${alias} ALIAS bundled_${name})
endfunction()

bundled(sqlite3 SQLITE ${HITHER_BUNDLED}/sqlite3/sqlite3.c)
target_compile_definitions(bundled_sqlite3 PRIVATE SQLITE_THREADSAFE=1 SQLITE_DQS=0 SQLITE_OMIT_LOAD_EXTENSION
    SQLITE_OMIT_DEPRECATED SQLITE_OMIT_SHARED_CACHE SQLITE_OMIT_JSON SQLITE_LIKE_DOESNT_MATCH_BLOBS HAVE_USLEEP=1 HAVE_FDATASYNC=1)
target_link_libraries(bundled_sqlite3 PUBLIC Threads::Threads m)

file(GLOB sources ${HITHER_BUNDLED}/jansson/*.c)
bundled(jansson JANSSON ${sources})
# What jansson's own configure script would find out on any system that hither supports.
set(json_inline inline)
set(json_have_long_long 1)
set(json_have_localeconv 1)
set(json_have_atomic_builtins 1)
set(json_have_sync_builtins 1)
configure_file(${HITHER_BUNDLED}/jansson/jansson_config.h.in ${CMAKE_BINARY_DIR}/bundled/jansson_config.h @ONLY)
file(WRITE ${CMAKE_BINARY_DIR}/bundled/jansson_private_config.h "/* its contents are definitions: cmake/libraries.cmake */\n")
target_include_directories(bundled_jansson SYSTEM PUBLIC ${CMAKE_BINARY_DIR}/bundled)
target_compile_definitions(bundled_jansson PRIVATE HAVE_STDINT_H HAVE_UNISTD_H HAVE_SYS_TYPES_H HAVE_SYS_STAT_H
    HAVE_SYS_TIME_H HAVE_FCNTL_H HAVE_SCHED_H HAVE_GETTIMEOFDAY HAVE_OPEN HAVE_CLOSE HAVE_READ HAVE_GETPID
    HAVE_SCHED_YIELD HAVE_LOCALECONV HAVE_LOCALE_H HAVE_ATOMIC_BUILTINS HAVE_SYNC_BUILTINS USE_URANDOM=1
    INITIAL_HASHTABLE_ORDER=3)

bundled(utf8proc UTF8PROC ${HITHER_BUNDLED}/utf8proc/utf8proc.c)
target_compile_definitions(bundled_utf8proc PUBLIC UTF8PROC_STATIC)

# Runs PROGRAM in FOLDER, made empty, and compares what it prints with the file EXPECTED; twice, since an example that
# leaves a database behind must work on it again.
file(REMOVE_RECURSE ${FOLDER})
file(MAKE_DIRECTORY ${FOLDER})
file(READ ${EXPECTED} expected)
foreach(round first second)
    execute_process(COMMAND ${PROGRAM} WORKING_DIRECTORY ${FOLDER} OUTPUT_VARIABLE output ERROR_VARIABLE errors
        RESULT_VARIABLE status)
    if(NOT status EQUAL 0 OR NOT output STREQUAL expected)
        message(FATAL_ERROR "${round} run: status ${status}\n${errors}\n-- printed\n${output}\n-- expected\n${expected}")
    endif()
endforeach()

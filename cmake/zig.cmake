# A CMake toolchain around `zig cc`, the clang that PyPI's ziglang carries with the libcs of other systems: for wheels
# that an older glibc must run, for ARM64, and for the static command.
#   cmake --toolchain cmake/zig.cmake -DHITHER_ZIG=/path/to/zig -DHITHER_TARGET=aarch64-linux-gnu.2.17 ...
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES HITHER_ZIG HITHER_TARGET)
string(REGEX MATCH "^[a-z0-9_]+" CMAKE_SYSTEM_PROCESSOR "${HITHER_TARGET}")
set(CMAKE_SYSTEM_NAME Linux)
# zig turns off by name each feature that a target lacks; this one is then not brought back by -mavx512f.
if(CMAKE_SYSTEM_PROCESSOR STREQUAL x86_64)
    set(features "-mevex512 ")
endif()
foreach(tool cc ar ranlib)
    set(wrapper ${CMAKE_BINARY_DIR}/zig-${tool})
    if(tool STREQUAL cc)
        # What zig adds to help with debugging would be in a release too; tables for unwinding are a tenth of a wheel, and
        # nothing unwinds through C here.
        set(line "cc -target ${HITHER_TARGET} ${features}-fno-sanitize=undefined -fno-unwind-tables")
        set(line "${line} -fno-asynchronous-unwind-tables \"$@\"")
    else()
        set(line "${tool} \"$@\"")
    endif()
    if(NOT EXISTS ${wrapper})
        file(WRITE ${wrapper} "#!/bin/sh\nexec '${HITHER_ZIG}' ${line}\n")
        file(CHMOD ${wrapper} PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)
    endif()
    string(TOUPPER ${tool} variable)
    set(tool_${variable} ${wrapper})
endforeach()
set(CMAKE_C_COMPILER ${tool_CC})
set(CMAKE_AR ${tool_AR} CACHE FILEPATH "")
set(CMAKE_RANLIB ${tool_RANLIB} CACHE FILEPATH "")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)

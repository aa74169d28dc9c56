# SPDX-License-Identifier: Apache-2.0
# Writes the files below `FROM` that are in `FILES` into a C file, as
# agent/setup/embedded.h has them: cmake -DFROM= -DFILES="a;b" -DOUT= -P this

set(table)
set(c "/* Made by conf/embed.cmake. */\n#include \"agent/setup/embedded.h\"\n")
set(i 0)
foreach(file ${FILES})
    file(READ ${FROM}/${file} bytes HEX)
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
    string(APPEND c "\nstatic const unsigned char file${i}[] = {${bytes} 0};\n")
    string(APPEND table "    { \"${file}\", { (const char *)file${i}, "
        "sizeof(file${i}) - 1 } },\n")
    math(EXPR i "${i} + 1")
endforeach()
file(WRITE ${OUT} "${c}\nconst struct embedded embedded_files[] = {\n"
    "${table}    { 0 },\n};\n")

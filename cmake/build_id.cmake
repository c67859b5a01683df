# The build id: what a worker must repeat in its hello. A hash over every source that is compiled in,
# so that two builds of the same tree agree and any change of it does not.
set(WEIR_BUILD_ID_C ${CMAKE_BINARY_DIR}/build_id.c)
file(GLOB_RECURSE WEIR_ALL_SOURCES CONFIGURE_DEPENDS
    ${CMAKE_SOURCE_DIR}/src/*.c ${CMAKE_SOURCE_DIR}/src/*.h ${CMAKE_SOURCE_DIR}/include/*.h)
list(FILTER WEIR_ALL_SOURCES EXCLUDE REGEX "_test\\.c$")
string(REPLACE ";" "\n" WEIR_ALL_SOURCES_TEXT "${WEIR_ALL_SOURCES}")
file(WRITE ${CMAKE_BINARY_DIR}/sources.list "${WEIR_ALL_SOURCES_TEXT}")
add_custom_command(OUTPUT ${WEIR_BUILD_ID_C}
    COMMAND ${CMAKE_COMMAND} -DLIST=${CMAKE_BINARY_DIR}/sources.list -DOUT=${WEIR_BUILD_ID_C}
        "-DFLAVOUR=${PROJECT_VERSION} ${CMAKE_C_COMPILER_ID} ${CMAKE_BUILD_TYPE} ${WEIR_SANITIZE}"
        -P ${CMAKE_SOURCE_DIR}/cmake/write_build_id.cmake
    DEPENDS ${WEIR_ALL_SOURCES} ${CMAKE_SOURCE_DIR}/cmake/write_build_id.cmake
    COMMENT "build id" VERBATIM)
add_library(weir_build_id STATIC ${WEIR_BUILD_ID_C})

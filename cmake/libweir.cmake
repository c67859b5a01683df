# libweir: the library behind include/weir/weir.h.
#
# The static library is one relocatable object whose hidden symbols are made local, so that a host
# program may have names like ours. The shared library exports by visibility and version script.
set(WEIR_LIB_PARTS weir_lib weir_supervisor weir_wire weir_build_id weir_base)
if(NOT TARGET weir_lib)
    return()
endif()
set(part_files "")
foreach(part ${WEIR_LIB_PARTS})
    list(APPEND part_files $<TARGET_FILE:${part}>)
endforeach()
set(WEIR_OBJECT ${CMAKE_BINARY_DIR}/lib/weir.o)
set(WEIR_ARCHIVE ${CMAKE_BINARY_DIR}/lib/libweir.a)
add_custom_command(OUTPUT ${WEIR_ARCHIVE}
    COMMAND ${CMAKE_LINKER} -r -o ${WEIR_OBJECT} --whole-archive ${part_files}
    COMMAND ${CMAKE_OBJCOPY} --localize-hidden ${WEIR_OBJECT}
    COMMAND ${CMAKE_COMMAND} -E rm -f ${WEIR_ARCHIVE}
    COMMAND ${CMAKE_AR} rcs ${WEIR_ARCHIVE} ${WEIR_OBJECT}
    DEPENDS ${WEIR_LIB_PARTS} COMMENT "libweir.a" VERBATIM)
add_custom_target(weir_archive ALL DEPENDS ${WEIR_ARCHIVE})
add_library(weir_static STATIC IMPORTED GLOBAL)
set_target_properties(weir_static PROPERTIES IMPORTED_LOCATION ${WEIR_ARCHIVE})
target_link_libraries(weir_static INTERFACE PkgConfig::JANSSON PkgConfig::XXHASH)
add_dependencies(weir_static weir_archive)

file(WRITE ${CMAKE_BINARY_DIR}/empty.c "typedef int weir_shared_is_made_of_archives;\n")
add_library(weir_shared SHARED ${CMAKE_BINARY_DIR}/empty.c)
set_target_properties(weir_shared PROPERTIES OUTPUT_NAME weir SOVERSION 0 VERSION ${PROJECT_VERSION})
target_link_options(weir_shared PRIVATE
    -Wl,--version-script=${CMAKE_SOURCE_DIR}/src/lib/weir.map -Wl,--whole-archive ${part_files}
    -Wl,--no-whole-archive)
target_link_libraries(weir_shared PRIVATE PkgConfig::JANSSON PkgConfig::XXHASH)
# The parts come by link options, which CMake does not look into: the archive is made of the same.
set_target_properties(weir_shared PROPERTIES LINK_DEPENDS ${WEIR_ARCHIVE})
add_dependencies(weir_shared weir_archive)

# What `cmake --install` lays down, and what cpack makes of it: a .deb and a tarball.
#
#   bin/weir                    libexec/weir/weir-worker…     the program and its workers
#   include/weir/*.h            lib/libweir.{a,so}            the library, with lib/pkgconfig/weir.pc
#   share/man, share/…          the manual page and completions that the build has made
#   lib/systemd/system          the unit
#   share/doc/weir              documents, licence, examples, an example of the configuration
#
# Nothing in it knows its own place but the folder of the workers that is looked into last, so the
# tree runs from any folder. The version is that of project() in CMakeLists.txt and stands nowhere else.
include(GNUInstallDirs)
set(libexec ${CMAKE_INSTALL_LIBEXECDIR}/weir)
set(doc ${CMAKE_INSTALL_DATADIR}/doc/weir)

file(RELATIVE_PATH libexec_from_bin ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBEXECDIR}/weir)
set_property(SOURCE src/base/worker_path_linux.c APPEND PROPERTY COMPILE_DEFINITIONS
    WEIR_LIBEXECDIR="${CMAKE_INSTALL_FULL_LIBEXECDIR}/weir"
    WEIR_LIBEXECDIR_FROM_BIN="${libexec_from_bin}")

install(TARGETS weir RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS weir-worker weir-worker-fake RUNTIME DESTINATION ${libexec})
install(TARGETS weir_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${WEIR_ARCHIVE} DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/weir DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")

file(RELATIVE_PATH WEIR_PREFIX_FROM_PC ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" WEIR_PREFIX_FROM_PC ${WEIR_PREFIX_FROM_PC})
configure_file(packages/weir.pc.in ${CMAKE_BINARY_DIR}/lib/weir.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/lib/weir.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# What is made from the tables of the program, where the build made it.
set(made ${CMAKE_BINARY_DIR}/share)
foreach(file man/man1/weir.1 bash-completion/completions/weir zsh/site-functions/_weir)
    get_filename_component(folder ${file} DIRECTORY)
    install(FILES ${made}/${file} DESTINATION ${CMAKE_INSTALL_DATADIR}/${folder} OPTIONAL)
endforeach()

install(FILES packages/weir.service DESTINATION lib/systemd/system)
install(FILES README.md LICENSE packages/weir.conf DESTINATION ${doc})
install(DIRECTORY docs/ DESTINATION ${doc}/docs)
install(DIRECTORY examples DESTINATION ${doc} FILES_MATCHING PATTERN "*.c")

set(WEIR_MAINTAINER "the weir authors <root@localhost>" CACHE STRING "who packages it, as Debian writes it")
set(CPACK_GENERATOR "DEB;TGZ")
set(CPACK_PACKAGE_NAME weir)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT ${WEIR_MAINTAINER})
set(CPACK_PACKAGE_VENDOR "the weir authors")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "several machine-learning models from one pool of memory")
set(CPACK_PACKAGE_DESCRIPTION
"weir serves text embedding and other models over OpenAI-compatible HTTP,
from the command line and as a C library. Models load on first use, share
one memory budget and leave when they are idle; each worker is a process of
its own, whose crash harms nobody else.")
set(CPACK_RESOURCE_FILE_LICENSE ${CMAKE_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES ON)
set(CPACK_THREADS 0)
set(CPACK_SYSTEM_NAME ${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR})
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "pkg-config, libjansson-dev, libxxhash-dev")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
foreach(file conffiles triggers postinst prerm postrm)
    list(APPEND CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${CMAKE_SOURCE_DIR}/packages/debian/${file})
endforeach()
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_SOURCE_DIR}/packages/finish.cmake)
set(CPACK_WEIR_SOURCE ${CMAKE_SOURCE_DIR}) # CPACK_ names are what a script is told
include(CPack)

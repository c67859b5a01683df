# finish.cmake — what cpack does to a tree between installing and packing it: debug information leaves the
# static library as it leaves the programs, and the tree of a .deb becomes what Debian's policy asks for.
set(tree ${CPACK_TEMPORARY_DIRECTORY}${CPACK_PACKAGING_INSTALL_PREFIX})
set(debian ${CPACK_WEIR_SOURCE}/packages/debian)

function(run)
    execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(GLOB_RECURSE archives ${tree}/libweir.a)
foreach(archive ${archives})
    run(strip --strip-debug ${archive})
endforeach()
if(NOT CPACK_GENERATOR STREQUAL "DEB")
    return()
endif()

# A settings file of its own under /etc, and the program by its full name.
set(doc ${tree}/share/doc/weir)
file(MAKE_DIRECTORY ${CPACK_TEMPORARY_DIRECTORY}/etc/weir)
file(RENAME ${doc}/weir.conf ${CPACK_TEMPORARY_DIRECTORY}/etc/weir/weir.conf)
file(READ ${tree}/lib/systemd/system/weir.service unit)
string(REPLACE "ExecStart=weir " "ExecStart=/usr/bin/weir " unit "${unit}")
string(REPLACE "ExecReload=kill " "ExecReload=/bin/kill " unit "${unit}")
file(WRITE ${tree}/lib/systemd/system/weir.service "${unit}")

# The tarball's finds its own place; this one stays where it is, and where pkg-config knows the folders.
file(GLOB_RECURSE pc ${tree}/weir.pc)
file(READ ${pc} text)
string(REGEX REPLACE "prefix=[^\n]*" "prefix=${CPACK_PACKAGING_INSTALL_PREFIX}" text "${text}")
file(WRITE ${pc} "${text}")

# The licence in Debian's form: its text with one blank before each line and a dot for an empty one.
file(READ ${doc}/LICENSE licence)
file(REMOVE ${doc}/LICENSE)
string(REGEX MATCH "Copyright [^\n]*" copyright "${licence}")
string(REGEX REPLACE "^.*Copyright [^\n]*\n+" "" licence "${licence}")
string(REGEX REPLACE "\n+$" "" licence "${licence}")
string(REPLACE "\n\n" "\n.\n" licence "${licence}")
string(REPLACE "\n" "\n " licence "${licence}")
string(REPLACE "Copyright (c) " "" copyright "${copyright}")
file(WRITE ${doc}/copyright
"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: weir

Files: *
Copyright: ${copyright}
License: Expat
 ${licence}
")

string(TIMESTAMP now "%a, %d %b %Y %H:%M:%S +0000" UTC) # SOURCE_DATE_EPOCH, where it is set
file(WRITE ${doc}/changelog
"weir (${CPACK_PACKAGE_VERSION}) unstable; urgency=medium

  * Packaged by the project itself.

 -- ${CPACK_PACKAGE_CONTACT}  ${now}
")
file(GLOB manuals ${tree}/share/man/man1/*.1)
run(gzip -9nf ${doc}/changelog ${manuals})

if(EXISTS ${tree}/share/zsh/site-functions)
    file(RENAME ${tree}/share/zsh/site-functions ${tree}/share/zsh/vendor-completions)
endif()
file(MAKE_DIRECTORY ${tree}/share/lintian/overrides)
configure_file(${debian}/lintian-overrides ${tree}/share/lintian/overrides/weir COPYONLY)

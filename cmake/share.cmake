# What the program says of itself for other programs, written by it into share/ as an installation has it:
# the manual page and completion for bash and zsh. A build for another machine cannot run it; one for fuzzing
# would leave profiles behind.
if(CMAKE_CROSSCOMPILING OR WEIR_FUZZ OR NOT TARGET weir)
    return()
endif()
set(WEIR_SHARE ${CMAKE_BINARY_DIR}/share)
set(share_files "")
function(weir_says form file)
    get_filename_component(folder ${WEIR_SHARE}/${file} DIRECTORY)
    file(MAKE_DIRECTORY ${folder})
    # ASan's leak check cannot be run below a debugger or in some builders, and is not what is built here.
    add_custom_command(OUTPUT ${WEIR_SHARE}/${file}
        COMMAND ${CMAKE_COMMAND} -E env ASAN_OPTIONS=detect_leaks=0
            $<TARGET_FILE:weir> help --format ${form} > ${WEIR_SHARE}/${file}.tmp
        COMMAND ${CMAKE_COMMAND} -E rename ${WEIR_SHARE}/${file}.tmp ${WEIR_SHARE}/${file}
        DEPENDS weir COMMENT "share/${file}" VERBATIM)
    set(share_files ${share_files} ${WEIR_SHARE}/${file} PARENT_SCOPE)
endfunction()
weir_says(man man/man1/weir.1)
weir_says(bash bash-completion/completions/weir)
weir_says(zsh zsh/site-functions/_weir)
add_custom_target(weir_share ALL DEPENDS ${share_files})

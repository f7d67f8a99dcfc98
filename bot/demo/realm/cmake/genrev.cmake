# Stamps revision_data.h from git: hash of HEAD (with a + when tracked files differ), its date, and the branch.
# Called at each build with -DSOURCE=<repository> -DOUTPUT=<header> -DWITHOUT_GIT=<bool>.
set(rev_hash "unknown")
set(rev_date "1970-01-01 00:00:00 +0000")
set(rev_branch "Archived")

function(ask_git result)
  execute_process(
    COMMAND "${GIT_EXECUTABLE}" ${ARGN}
    WORKING_DIRECTORY "${SOURCE}"
    OUTPUT_VARIABLE answer
    OUTPUT_STRIP_TRAILING_WHITESPACE
    RESULT_VARIABLE failed
    ERROR_QUIET)
  if(failed)
    set(${result} "" PARENT_SCOPE)
  else()
    set(${result} "${answer}" PARENT_SCOPE)
  endif()
endfunction()

if(NOT WITHOUT_GIT)
  find_program(GIT_EXECUTABLE git)
endif()
if(GIT_EXECUTABLE)
  ask_git(hash rev-parse --short=12 HEAD)
  if(hash)
    ask_git(rev_date show -s --format=%ci)
    ask_git(rev_branch symbolic-ref --short HEAD)
    if(NOT rev_branch)
      set(rev_branch "${hash}")
    endif()
    execute_process(
      COMMAND "${GIT_EXECUTABLE}" diff-index --quiet HEAD --
      WORKING_DIRECTORY "${SOURCE}"
      RESULT_VARIABLE dirty
      OUTPUT_QUIET ERROR_QUIET)
    if(dirty)
      set(hash "${hash}+")
    endif()
    set(rev_hash "${hash}")
  endif()
endif()

configure_file("${CMAKE_CURRENT_LIST_DIR}/revision_data.h.in" "${OUTPUT}" @ONLY)

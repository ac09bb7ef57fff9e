# How every target here is compiled and linked: warnings, sanitizers, profiles, ccache, a quick
# linker.

# ccache doesn't know which profile an object was compiled by.
find_program(CONTACTD_CCACHE ccache)
if(CONTACTD_CCACHE AND NOT CONTACTD_PROFILE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CONTACTD_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${CONTACTD_CCACHE})
endif()

find_program(CONTACTD_MOLD mold)
if(CONTACTD_MOLD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_link_options(-fuse-ld=mold)
endif()

if(CONTACTD_SANITIZE)
  add_compile_options(-fsanitize=${CONTACTD_SANITIZE} -fno-omit-frame-pointer
                      -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${CONTACTD_SANITIZE})
  if(CONTACTD_FUZZ)
    # Clang's check of calls through pointers takes coroutines for wrong ones.
    add_compile_options(-fno-sanitize=function)
  endif()
  if(CONTACTD_SANITIZE STREQUAL "thread")
    # Asio has fences, which GCC's sanitizer can't follow; it warns of each.
    add_compile_options(-Wno-tsan)
  endif()
endif()

# Profile-guided optimization (GCC's manual, "Options That Control Optimization"). The objects'
# paths are kept relative, so that a profile that one build directory recorded serves another.
if(CONTACTD_PROFILE)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    message(FATAL_ERROR "CONTACTD_PROFILE is for GCC; leave it empty for ${CMAKE_CXX_COMPILER_ID}")
  endif()
  set(profile_dir ${PROJECT_SOURCE_DIR}/build/profile)
  add_compile_options(-fprofile-prefix-path=${CMAKE_BINARY_DIR})
  if(CONTACTD_PROFILE STREQUAL "record")
    add_compile_options(-fprofile-generate=${profile_dir} -fprofile-update=atomic)
    add_link_options(-fprofile-generate)
  elseif(CONTACTD_PROFILE STREQUAL "use")
    # What bench/train.py doesn't come to is compiled as if there were no profile, not for size. So
    # are functions of generated files, which lie elsewhere in another build directory: a mismatch.
    add_compile_options(-fprofile-use=${profile_dir} -fprofile-partial-training
                        -Wno-missing-profile -Wno-coverage-mismatch)
    # Across files too: with a profile that is worth half as much again, without one nothing. GCC 12
    # then warns of strings that can't be so long (gcc.gnu.org bug 105329).
    add_compile_options(-flto=auto -ffat-lto-objects -Wno-stringop-overflow)
    add_link_options(-flto=auto -Wno-stringop-overflow)
  else()
    message(FATAL_ERROR "CONTACTD_PROFILE is empty, record or use, not '${CONTACTD_PROFILE}'")
  endif()
endif()

# The warnings of our own targets; what we include from elsewhere is SYSTEM and stays quiet.
add_library(contactd_warnings INTERFACE)
target_compile_options(contactd_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
  -Wold-style-cast -Woverloaded-virtual -Werror=switch
  # GCC 12 sees uninitialized members in std::variant and std::optional where there are none
  # (gcc.gnu.org bug 80635).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>
  # In a unity build, a .cpp file's own types look to GCC like a header's.
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<BOOL:${CMAKE_UNITY_BUILD}>>:-Wno-subobject-linkage>
  $<$<BOOL:${CONTACTD_WERROR}>:-Werror>)
target_include_directories(contactd_warnings INTERFACE ${PROJECT_SOURCE_DIR})

# What reads bytes from the network or the log is compiled to stop at an overrun, and the binary is
# linked so that nothing in it can be rewritten; tests/tidy/hardening_test.py looks at the outcome.
# The sanitizers have checks of their own.
add_library(contactd_hardening INTERFACE)
if(NOT CONTACTD_SANITIZE)
  target_compile_options(contactd_hardening INTERFACE
    -fstack-protector-strong -fstack-clash-protection -fPIE)
  # Where the processor checks the targets of jumps; each kind has a flag of its own.
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|i.86")
    target_compile_options(contactd_hardening INTERFACE -fcf-protection=full)
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    target_compile_options(contactd_hardening INTERFACE -mbranch-protection=standard)
  endif()
  target_compile_definitions(contactd_hardening INTERFACE
    $<$<NOT:$<CONFIG:Debug>>:_FORTIFY_SOURCE=2>)
  target_link_options(contactd_hardening INTERFACE
    -pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
endif()

# How every target here is compiled and linked: warnings, sanitizers, ccache, a quick linker.

find_program(CONTACTD_CCACHE ccache)
if(CONTACTD_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
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
    -fstack-protector-strong -fstack-clash-protection -fcf-protection=full -fPIE)
  target_compile_definitions(contactd_hardening INTERFACE
    $<$<NOT:$<CONFIG:Debug>>:_FORTIFY_SOURCE=2>)
  target_link_options(contactd_hardening INTERFACE
    -pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
endif()

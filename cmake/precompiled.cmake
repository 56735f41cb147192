# Headers that all tests parse once, not once a file: GoogleTest's, fmt's, and those of the standard library that most of
# them include. Each file still includes all that it needs: clang-tidy sees it without this (KELVIN_PRECOMPILE=OFF). The
# library's own sources are not built so: GCC 12 then warns of the standard library's code in them.
#
# ccache's manual ("Precompiled headers") asks for the options that change nothing else, and for a setting (./dev).

# kelvin_precompiled_tests(TARGET OPTION...): no test, but what tests with these compiler options take the headers from;
# an executable as they are, for the same flags.
function(kelvin_precompiled_tests target)
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/precompiled/empty.cc CONTENT "")
  add_executable(${target} EXCLUDE_FROM_ALL ${PROJECT_BINARY_DIR}/precompiled/empty.cc)
  target_compile_options(${target} PRIVATE ${ARGN} "$<$<CXX_COMPILER_ID:Clang>:SHELL:-Xclang -fno-pch-timestamp>")
  target_link_libraries(${target} PRIVATE kelvin_warnings fmt::fmt GTest::gmock GTest::gtest_main)
  target_precompile_headers(${target} PRIVATE <algorithm> <array> <atomic> <chrono> <cstring> <deque> <filesystem> <functional>
    <map> <memory> <random> <set> <span> <string> <string_view> <thread> <utility> <vector> <fmt/format.h> <gmock/gmock.h>
    <gtest/gtest.h>)
endfunction()

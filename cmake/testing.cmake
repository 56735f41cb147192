# kelvin_test(NAME [SOURCE...]) builds tests/NAME.cc and SOURCEs into one GoogleTest binary that ctest runs.
function(kelvin_test name)
  add_executable(${name} ${name}.cc ${ARGN})
  target_link_libraries(${name} PRIVATE kelvin kelvin_warnings fmt::fmt-header-only GTest::gmock GTest::gtest_main)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/src)
  target_compile_definitions(${name} PRIVATE KELVIN_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
    KELVIN_BINARY_DIR="${PROJECT_BINARY_DIR}")
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 600)
endfunction()

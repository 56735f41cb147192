# Tests in which nothing happens but on one thread, or in a process that is killed, or that count what a thread
# sanitizer's runtime does not let them count: it sees nothing in them, and takes long. Its build leaves them out.
set(KELVIN_ONE_THREAD_TESTS
  arc_test config_test content_test copy_choice_test cost_test crc32c_test hash_test heat_test host_link_test
  hot_path_allocation_test latency_test link_speed_test lru2_test lru_test nvme_depth_test nvme_format_test
  nvme_kill_test nvme_owner_test nvme_power_loss_test plan_rules_test planner_test policies_test policy_purity_test
  promotions_test protection_test ranked_parts_test real_traces_test report_browser_test report_page_test
  s3fifo_test status_test textbook_rows_test topo_test topology_test trace_gen_test trace_test tuning_doc_test
  write_budget_test)

# Tests that compute much themselves. The code of the others is compiled without optimisation, which would take more
# time than it saves: twice as long, for a third of all sources. The library is as the build type says.
set(KELVIN_BUSY_TESTS
  lru_test nvme_power_loss_test nvme_recovery_test plan_rules_test policies_test real_traces_test space_model_test table_test
  textbook_rows_test)

if(KELVIN_PRECOMPILE)
  kelvin_precompiled_tests(precompiled_tests -O0)
  kelvin_precompiled_tests(precompiled_busy_tests)
endif()

# kelvin_test(NAME [SOURCE...]) builds tests/NAME.cc and SOURCEs into one GoogleTest binary that ctest runs.
function(kelvin_test name)
  add_executable(${name} ${name}.cc ${ARGN})
  if(KELVIN_SANITIZE STREQUAL "thread" AND name IN_LIST KELVIN_ONE_THREAD_TESTS)
    set_target_properties(${name} PROPERTIES EXCLUDE_FROM_ALL ON)
    return()
  endif()
  set(_like precompiled_busy_tests)
  if(NOT name IN_LIST KELVIN_BUSY_TESTS)
    target_compile_options(${name} PRIVATE -O0)
    set(_like precompiled_tests)
  endif()
  if(KELVIN_PRECOMPILE)
    target_precompile_headers(${name} REUSE_FROM ${_like})
    target_compile_options(${name} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
  endif()
  target_link_libraries(${name} PRIVATE kelvin kelvin_warnings fmt::fmt GTest::gmock GTest::gtest_main)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/src)
  target_compile_definitions(${name} PRIVATE KELVIN_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
    KELVIN_BINARY_DIR="${PROJECT_BINARY_DIR}")
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 600)
  if(KELVIN_SANITIZE MATCHES "address")
    set_tests_properties(${name} PROPERTIES
      ENVIRONMENT "LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/.ci/lsan.supp:print_suppressions=0")
  endif()
endfunction()

# kelvin_test_on_fake_cuda(NAME): once more, where the pretended driver is found as the CUDA driver, but for what runs
# on the emulated device there as here. Its results are of their own: the two may run at the same time, and would write
# the same file.
function(kelvin_test_on_fake_cuda name)
  add_dependencies(${name} fake_cuda)
  add_test(NAME ${name}_on_fake_cuda COMMAND ${name} --gtest_filter=-*mulated*)
  set(_results ${PROJECT_BINARY_DIR}/results/${name}_on_fake_cuda.xml)
  set_tests_properties(${name}_on_fake_cuda PROPERTIES TIMEOUT 600
    ENVIRONMENT "LD_LIBRARY_PATH=$<TARGET_FILE_DIR:fake_cuda>/as_driver;GTEST_OUTPUT=xml:${_results}")
endfunction()

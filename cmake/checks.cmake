# Checks that are no GoogleTest binaries: ctest entries of their own.
find_package(Python3 COMPONENTS Interpreter)

# kelvin_script_test(NAME SCRIPT [ARGUMENT...]) runs a Python script of tests/.
function(kelvin_script_test name script)
  if(NOT Python3_FOUND)
    message(STATUS "kelvin: no python3: ${name} is not part of the tests")
    return()
  endif()
  add_test(NAME ${name} COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tests/${script} ${ARGN})
endfunction()

# Every header compiles alone: the one of a source's own name is what that source includes first (layering_test.py), and
# clang-tidy sees the sources without precompiled headers; each of the others is a translation unit, built only by its
# test.
function(kelvin_headers_test)
  file(GLOB_RECURSE _headers RELATIVE ${PROJECT_SOURCE_DIR} CONFIGURE_DEPENDS
    ${PROJECT_SOURCE_DIR}/include/*.h ${PROJECT_SOURCE_DIR}/src/*.h ${PROJECT_SOURCE_DIR}/tiers/*.h
    ${PROJECT_SOURCE_DIR}/policies/*.h)
  if(NOT KELVIN_CLI)
    list(FILTER _headers EXCLUDE REGEX "^src/cli/")
  endif()
  if(NOT KELVIN_HBM)
    list(FILTER _headers EXCLUDE REGEX "^tiers/hbm/")
  endif()
  if(NOT KELVIN_NVME)
    list(FILTER _headers EXCLUDE REGEX "^tiers/nvme/")
  elseif(NOT KELVIN_HAVE_URING)
    list(FILTER _headers EXCLUDE REGEX "^tiers/nvme/(.*uring|nvme_command)")
  endif()
  if(NOT KELVIN_HAVE_CUDA)
    list(FILTER _headers EXCLUDE REGEX "^tiers/hbm/cuda/(context|cuda_|driver|host_pins|kernels|list_ring|peer_access|records)")
  endif()
  set(_units)
  foreach(_header ${_headers})
    string(REGEX REPLACE "\\.h$" ".cc" _source ${_header})
    if(EXISTS ${PROJECT_SOURCE_DIR}/${_source})
      continue()
    endif()
    string(REGEX REPLACE "^(include|src)/" "" _name ${_header})
    string(MAKE_C_IDENTIFIER ${_header} _id)
    set(_unit ${PROJECT_BINARY_DIR}/headers/${_id}.cc)
    file(CONFIGURE OUTPUT ${_unit} CONTENT "#include \"${_name}\"\n")
    list(APPEND _units ${_unit})
  endforeach()
  add_library(kelvin_headers OBJECT EXCLUDE_FROM_ALL ${_units})
  target_include_directories(kelvin_headers PRIVATE $<TARGET_PROPERTY:kelvin,INCLUDE_DIRECTORIES>)
  target_compile_definitions(kelvin_headers PRIVATE $<TARGET_PROPERTY:kelvin,COMPILE_DEFINITIONS>)
  target_compile_options(kelvin_headers PRIVATE -O0 -g0)
  target_link_libraries(kelvin_headers PRIVATE kelvin_warnings fmt::fmt-header-only)
  foreach(_library PkgConfig::liburing CLI11::CLI11 nlohmann_json::nlohmann_json PkgConfig::zstd)
    if(TARGET ${_library})
      target_link_libraries(kelvin_headers PRIVATE ${_library})
    endif()
  endforeach()
  add_test(NAME headers_stand_alone_test
    COMMAND ${CMAKE_COMMAND} --build ${PROJECT_BINARY_DIR} --target kelvin_headers)
  set_tests_properties(headers_stand_alone_test PROPERTIES TIMEOUT 900)
endfunction()

# Installs the build and uses it from outside the tree.
function(kelvin_install_test)
  add_test(NAME install_consumer_test
    COMMAND ${CMAKE_COMMAND} -DBUILT=${PROJECT_BINARY_DIR} -DSCRATCH=${PROJECT_BINARY_DIR}/consumer
      -DCOMPILER=${CMAKE_CXX_COMPILER} -P ${PROJECT_SOURCE_DIR}/tests/consumer/check.cmake)
  set_tests_properties(install_consumer_test PROPERTIES TIMEOUT 300)
endfunction()

kelvin_script_test(layering_test layering_test.py)
kelvin_script_test(docs_test docs_test.py)
if(NOT KELVIN_SANITIZE)
  kelvin_headers_test()
  if(KELVIN_INSTALL)
    kelvin_install_test()
  endif()
endif()

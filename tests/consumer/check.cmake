# cmake -DBUILT=<build folder of kelvin> -DSCRATCH=<folder> [-DCOMPILER=<c++>] -P check.cmake
# Installs that build into a prefix of its own, then builds and runs the consumer against the prefix alone:
# once by find_package, once by pkg-config (where there is one).
foreach(_needed BUILT SCRATCH)
  if(NOT DEFINED ${_needed})
    message(FATAL_ERROR "say where: -D${_needed}=<folder>")
  endif()
endforeach()
set(_here ${CMAKE_CURRENT_LIST_DIR})
set(_prefix ${SCRATCH}/prefix)
file(REMOVE_RECURSE ${SCRATCH})
if(NOT COMPILER)
  set(COMPILER c++)
endif()

function(step)
  list(JOIN ARGN " " _line)
  message(STATUS "${_line}")
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE _result OUTPUT_VARIABLE _out ERROR_VARIABLE _out)
  if(NOT _result EQUAL 0)
    message(FATAL_ERROR "failed (${_result}): ${_line}\n${_out}")
  endif()
  set(step_output "${_out}" PARENT_SCOPE)
endfunction()

step(${CMAKE_COMMAND} --install ${BUILT} --prefix ${_prefix})

# No path of the source or build tree, and no header of another project, may be part of what is exported.
file(GLOB_RECURSE _exported ${_prefix}/*.cmake ${_prefix}/*.pc)
foreach(_file ${_exported})
  file(READ ${_file} _text)
  if(_text MATCHES "tomlplusplus|fmt::|xxhash" OR _text MATCHES "${BUILT}/(src|cmake)")
    message(FATAL_ERROR "${_file} leaks how kelvin is built: '${CMAKE_MATCH_0}'")
  endif()
endforeach()

step(${CMAKE_COMMAND} -S ${_here} -B ${SCRATCH}/build -DCMAKE_PREFIX_PATH=${_prefix}
  -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_BUILD_TYPE=Release)
step(${CMAKE_COMMAND} --build ${SCRATCH}/build)
step(${SCRATCH}/build/consumer)
message("${step_output}")

find_program(_pkg_config pkg-config)
if(_pkg_config)
  file(GLOB_RECURSE _pc ${_prefix}/*/kelvin.pc)
  cmake_path(GET _pc PARENT_PATH _pc_folder)
  file(GLOB_RECURSE _static ${_prefix}/*/libkelvin.a)
  set(_link)
  if(_static)
    set(_link --static)
  endif()
  # Beside the machine's own search path: liburing is found there.
  step(${CMAKE_COMMAND} -E env PKG_CONFIG_PATH=${_pc_folder} ${_pkg_config} ${_link} --cflags --libs kelvin)
  separate_arguments(_flags UNIX_COMMAND "${step_output}")
  cmake_path(GET _pc_folder PARENT_PATH _lib)
  step(${COMPILER} -std=c++20 ${_here}/main.cc -o ${SCRATCH}/by_pkg_config ${_flags} -Wl,-rpath,${_lib})
  step(${SCRATCH}/by_pkg_config)
endif()
message(STATUS "the installed kelvin works for a consumer outside the tree")

# kelvin_cuda_image(KERNELS OUTPUT DEPENDS...): KERNELS (a .cu file) compiled into OUTPUT, a C++ source that holds two
# images as bytes: machine code for the GPUs that are named here, as far as this toolkit knows them, and PTX for all
# others, which the driver compiles. The PTX is marked as of the oldest version that has all it uses, so that drivers
# older than the toolkit take it too; ptxas checks that this is true.
function(kelvin_cuda_image kernels output)
  set(_folder ${CMAKE_CURRENT_BINARY_DIR})
  set(_flags -std=c++17 -O3 -allow-unsupported-compiler -I${PROJECT_SOURCE_DIR})
  execute_process(COMMAND ${KELVIN_NVCC} --list-gpu-code OUTPUT_VARIABLE _known ERROR_QUIET)
  set(_codes)
  foreach(_architecture 80 90)
    if(_known MATCHES "sm_${_architecture}([^0-9]|$)")
      list(APPEND _codes -gencode arch=compute_${_architecture},code=sm_${_architecture})
    endif()
  endforeach()
  add_custom_command(OUTPUT ${_folder}/kernels.fatbin ${_folder}/kernels.ptx ${output}
    COMMAND ${KELVIN_NVCC} ${_flags} --fatbin ${_codes} ${kernels} -o ${_folder}/kernels.fatbin
    COMMAND ${KELVIN_NVCC} ${_flags} --ptx -arch=compute_80 ${kernels} -o ${_folder}/kernels.new.ptx
    COMMAND ${CMAKE_COMMAND} -DPTX=${_folder}/kernels.new.ptx -DTO=${_folder}/kernels.ptx
      -P ${PROJECT_SOURCE_DIR}/cmake/old_ptx.cmake
    COMMAND ${KELVIN_PTXAS} -arch=sm_80 ${_folder}/kernels.ptx -o ${_folder}/kernels.check.cubin
    COMMAND ${CMAKE_COMMAND} -DFATBIN=${_folder}/kernels.fatbin -DPTX=${_folder}/kernels.ptx -DTO=${output}
      -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${kernels} ${ARGN} ${PROJECT_SOURCE_DIR}/cmake/old_ptx.cmake ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
    COMMENT "Kernels for GPUs" VERBATIM)
endfunction()

# cmake -DFATBIN=FILE -DPTX=FILE -DTO=FILE -P embed.cmake: both files as arrays of bytes, the PTX with a 0 behind it.
function(_bytes file out)
  file(READ ${file} _hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," _list "${_hex}")
  set(${out} "${_list}" PARENT_SCOPE)
endfunction()
_bytes(${FATBIN} _fatbin)
_bytes(${PTX} _ptx)
file(WRITE ${TO} "// Generated from the kernels; see cmake/cuda_image.cmake.
#include \"tiers/hbm/cuda/kernel_image.h\"

namespace kelvin::hbm {

alignas(64) const unsigned char kKernelMachineCode[] = {${_fatbin}};
alignas(64) const unsigned char kKernelPtx[] = {${_ptx}0};

}  // namespace kelvin::hbm
")

// See crc32c.h: the choice among the kernels.
#include "checksum/crc32c.h"

#include <array>

#include "checksum/kernels.h"

namespace kelvin {
namespace crc {
namespace {

constexpr std::array kKernels = {
#if defined(__x86_64__)
    &kAvx512Kernel,
    &kAvx2Kernel,
    &kSse42Kernel,
#elif defined(__aarch64__)
    &kArmKernel,
#endif
    &kPortableKernel,
};

const Kernel& choose() noexcept {
  for (const Kernel* kernel : kKernels) {
    if (kernel->supported()) return *kernel;
  }
  return kPortableKernel;
}

const Kernel& chosen() noexcept {
  static const Kernel& kernel = choose();
  return kernel;
}

}  // namespace

std::span<const Kernel* const> kernels() noexcept { return kKernels; }

}  // namespace crc

std::uint32_t crc32c(const void* data, std::size_t bytes, std::uint32_t crc) noexcept {
  return crc::chosen().crc32c(data, bytes, crc);
}

std::uint32_t copy_crc32c(void* to, const void* from, std::size_t bytes, std::uint32_t crc) noexcept {
  return crc::chosen().copy_crc32c(to, from, bytes, crc);
}

void copy_stream(void* to, const void* from, std::size_t bytes) noexcept {
  crc::chosen().copy_stream(to, from, bytes);
}

const char* crc32c_kernel() noexcept { return crc::chosen().name; }

}  // namespace kelvin

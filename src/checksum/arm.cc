// crc32c with the CRC32 extension of Arm v8, one stream; copies by memcpy.
//
// Thread contract: pure functions; any thread.
#if defined(__aarch64__)

#include <sys/auxv.h>

#include <algorithm>
#include <cstring>

#include "checksum/kernels.h"

// Neither compiler declares the instructions of <arm_acle.h> unless the whole file is built for them.
#if defined(__clang__)
#define KELVIN_ARM_CRC __attribute__((target("crc")))
#define KELVIN_CRC32C_8 __builtin_arm_crc32cd
#define KELVIN_CRC32C_1 __builtin_arm_crc32cb
#else
#define KELVIN_ARM_CRC __attribute__((target("+crc")))
#define KELVIN_CRC32C_8 __builtin_aarch64_crc32cx
#define KELVIN_CRC32C_1 __builtin_aarch64_crc32cb
#endif

namespace kelvin::crc {
namespace {

bool arm_supported() noexcept {
  constexpr unsigned long kHwcapCrc32 = 1UL << 7;
  return (getauxval(AT_HWCAP) & kHwcapCrc32) != 0;
}

KELVIN_ARM_CRC std::uint32_t arm_crc32c(const void* data, std::size_t bytes, std::uint32_t crc) noexcept {
  const auto* p = static_cast<const unsigned char*>(data);
  std::uint32_t state = ~crc;
  for (; bytes >= 8; bytes -= 8, p += 8) {
    std::uint64_t v = 0;
    std::memcpy(&v, p, sizeof v);
    state = KELVIN_CRC32C_8(state, v);
  }
  for (; bytes > 0; --bytes, ++p) state = KELVIN_CRC32C_1(state, *p);
  return ~state;
}

void arm_copy(void* to, const void* from, std::size_t bytes) noexcept {
  if (bytes > 0) std::memcpy(to, from, bytes);  // null pointers are allowed for no bytes
}

std::uint32_t arm_copy_crc32c(void* to, const void* from, std::size_t bytes, std::uint32_t crc) noexcept {
  constexpr std::size_t kPiece = 4096;  // still in the first-level cache when it is summed
  auto* out = static_cast<unsigned char*>(to);
  const auto* in = static_cast<const unsigned char*>(from);
  while (bytes > 0) {
    const std::size_t n = std::min(bytes, kPiece);
    std::memcpy(out, in, n);
    crc = arm_crc32c(in, n, crc);
    out += n, in += n, bytes -= n;
  }
  return crc;
}

}  // namespace

constinit const Kernel kArmKernel = {"armv8+crc", arm_supported, arm_crc32c, arm_copy_crc32c, arm_copy};

}  // namespace kelvin::crc

#endif

// What our kernels do, on the host: the same lists, chunks and sums, one thread after the other.
#include <cstring>

#include "tests/fake_cuda/machine.h"
#include "tiers/hbm/cuda/crc_chunks.h"
#include "tiers/hbm/cuda/kernel_arguments.h"

namespace kelvin::fake_cuda {
namespace {

constexpr hbm::CrcSlices kSlices = hbm::make_crc_slices();
constexpr hbm::CrcCarries kCarries = hbm::make_crc_carries();

// Calls take(entry, offset, bytes) for each chunk of a list.
template <class Take>
void each_chunk(const hbm::ListEntry* list, std::uint32_t entries, std::uint64_t chunks, std::uint64_t size,
                Take take) {
  std::uint32_t entry = 0;
  for (std::uint64_t chunk = 0; chunk < chunks; ++chunk) {
    while (entry + 1 < entries && list[entry + 1].first_chunk <= chunk) ++entry;
    const std::uint64_t offset = (chunk - list[entry].first_chunk) * size;
    take(list[entry], offset, std::min(size, list[entry].bytes - offset));
  }
}

void copy(const void* arguments) {
  hbm::CopyArguments given{};
  std::memcpy(&given, arguments, sizeof given);
  each_chunk(given.list, given.entries, given.chunks, hbm::kCopyChunk,
             [](const hbm::ListEntry& piece, std::uint64_t offset, std::uint64_t bytes) {
               std::memcpy(piece.to + offset, piece.from + offset, bytes);
             });
}

void checksum(const void* arguments) {
  hbm::ChecksumArguments given{};
  std::memcpy(&given, arguments, sizeof given);
  std::uint64_t left = given.behind;
  for (std::uint32_t i = 0; i < given.entries; ++i) left += given.list[i].bytes;
  each_chunk(given.list, given.entries, given.chunks, hbm::kChecksumChunk,
             [&](const hbm::ListEntry& piece, std::uint64_t offset, std::uint64_t bytes) {
               left -= bytes;
               const std::uint32_t state = hbm::crc_of_chunk(kSlices, piece.from + offset, bytes);
               given.sum->parts ^= hbm::crc_carried(kCarries, state, left);
             });
  if (given.result == nullptr) return;
  *given.result = given.sum->parts ^ given.inversions;
  given.sum->parts = 0;
}

}  // namespace

CUfunc_st find_kernel(const char* name) {
  if (std::strcmp(name, hbm::kCopyKernel) == 0) return {&copy, sizeof(hbm::CopyArguments)};
  if (std::strcmp(name, hbm::kChecksumKernel) == 0) return {&checksum, sizeof(hbm::ChecksumArguments)};
  return {};
}

}  // namespace kelvin::fake_cuda

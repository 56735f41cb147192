// The kernels: copying pieces between any memory that the GPU reaches, and crc32c where the bytes are.
//
// Both are meant to run beside the engine's kernels: few CTAs, whose threads keep many bytes on their way.
// The launch decides how many CTAs; any number is right.
#include <cstddef>
#include <cstdint>

#include "tiers/hbm/cuda/crc_chunks.h"
#include "tiers/hbm/cuda/kernel_arguments.h"

namespace kelvin::hbm {
namespace {

constexpr unsigned kLanes = 32;
constexpr unsigned kWarps = kThreads / kLanes;

__device__ const CrcSlices kSlices = make_crc_slices();
__device__ const CrcCarries kCarries = make_crc_carries();

// The list, read once by each CTA: from then on looking an entry up costs no trip to the host.
struct SharedList {
  ListEntry entries[kListEntries];

  __device__ void fill(const ListEntry* list, unsigned count) {
    static_assert(sizeof(ListEntry) == 2 * sizeof(uint4), "two reads of 16 bytes an entry");
    const auto* from = reinterpret_cast<const uint4*>(list);
    auto* to = reinterpret_cast<uint4*>(entries);
    for (unsigned i = threadIdx.x; i < 2 * count; i += blockDim.x) to[i] = from[i];
    __syncthreads();
  }

  // The entry of a chunk, from a guess that is not behind it.
  __device__ unsigned entry_of(std::uint64_t chunk, unsigned guess, unsigned count) const {
    while (guess + 1 < count && entries[guess + 1].first_chunk <= chunk) ++guess;
    return guess;
  }
};

// A warp copies up to kCopyChunk bytes.
__device__ void copy_chunk(std::byte* to, const std::byte* from, std::uint64_t bytes, unsigned lane) {
  const auto where = reinterpret_cast<std::uintptr_t>(to) | reinterpret_cast<std::uintptr_t>(from);
  std::uint64_t copied = 0;
  if ((where & 15U) == 0) {
    constexpr unsigned kAtOnce = kCopyChunk / (kLanes * sizeof(uint4));
    const auto* source = reinterpret_cast<const uint4*>(from);
    auto* target = reinterpret_cast<uint4*>(to);
    const auto words = static_cast<unsigned>(bytes / sizeof(uint4));
    if (words == kAtOnce * kLanes) {  // all loads are on their way before the first store waits for one
      uint4 held[kAtOnce];
#pragma unroll
      for (unsigned i = 0; i < kAtOnce; ++i) held[i] = __ldcs(source + i * kLanes + lane);
#pragma unroll
      for (unsigned i = 0; i < kAtOnce; ++i) __stcs(target + i * kLanes + lane, held[i]);
    } else {
      for (unsigned i = lane; i < words; i += kLanes) __stcs(target + i, __ldcs(source + i));
    }
    copied = std::uint64_t{words} * sizeof(uint4);
  }
  for (std::uint64_t i = copied + lane; i < bytes; i += kLanes) to[i] = from[i];
}

}  // namespace

extern "C" __global__ void __launch_bounds__(kThreads) kelvin_copy(const CopyArguments arguments) {
  __shared__ SharedList list;
  list.fill(arguments.list, arguments.entries);
  const unsigned lane = threadIdx.x % kLanes;
  const std::uint64_t step = std::uint64_t{gridDim.x} * kWarps;
  unsigned entry = 0;
  for (std::uint64_t chunk = std::uint64_t{blockIdx.x} * kWarps + threadIdx.x / kLanes;
       chunk < arguments.chunks; chunk += step) {
    entry = list.entry_of(chunk, entry, arguments.entries);
    const ListEntry& piece = list.entries[entry];
    const std::uint64_t offset = (chunk - piece.first_chunk) * kCopyChunk;
    const std::uint64_t left = piece.bytes - offset;
    copy_chunk(piece.to + offset, piece.from + offset, left < kCopyChunk ? left : kCopyChunk, lane);
  }
}

extern "C" __global__ void __launch_bounds__(kThreads) kelvin_checksum(const ChecksumArguments arguments) {
  __shared__ SharedList list;
  __shared__ CrcSlices slices;
  __shared__ std::uint32_t parts;
  for (unsigned i = threadIdx.x; i < 16 * 256; i += blockDim.x) {
    slices.of[i / 256][i % 256] = kSlices.of[i / 256][i % 256];
  }
  if (threadIdx.x == 0) parts = 0;
  list.fill(arguments.list, arguments.entries);

  std::uint64_t listed = 0;
  for (unsigned i = 0; i < arguments.entries; ++i) listed += list.entries[i].bytes;
  const std::uint64_t step = std::uint64_t{gridDim.x} * blockDim.x;
  std::uint32_t part = 0;
  std::uint64_t before = 0;  // bytes of the entries before `entry`
  unsigned entry = 0;
  for (std::uint64_t chunk = std::uint64_t{blockIdx.x} * blockDim.x + threadIdx.x; chunk < arguments.chunks;
       chunk += step) {
    const unsigned reached = list.entry_of(chunk, entry, arguments.entries);
    for (; entry < reached; ++entry) before += list.entries[entry].bytes;
    const ListEntry& piece = list.entries[entry];
    const std::uint64_t offset = (chunk - piece.first_chunk) * kChecksumChunk;
    const std::uint64_t left = piece.bytes - offset;
    const std::uint64_t bytes = left < kChecksumChunk ? left : kChecksumChunk;
    const std::uint64_t behind = listed - before - offset - bytes + arguments.behind;
    part ^= crc_carried(kCarries, crc_of_chunk(slices, piece.from + offset, bytes), behind);
  }
  for (unsigned other = kLanes / 2; other > 0; other /= 2) part ^= __shfl_xor_sync(0xFFFFFFFFU, part, other);
  if (threadIdx.x % kLanes == 0) atomicXor(&parts, part);
  __syncthreads();
  if (threadIdx.x != 0) return;

  // The CTA that ends last has seen the parts of all others: each adds its part before it counts itself.
  atomicXor(&arguments.sum->parts, parts);
  __threadfence();
  if (atomicAdd(&arguments.sum->ended, 1) + 1 != gridDim.x) return;
  __threadfence();
  arguments.sum->ended = 0;
  if (arguments.result == nullptr) return;
  const std::uint32_t sum = atomicExch(&arguments.sum->parts, 0);
  *arguments.result = sum ^ arguments.inversions;
  __threadfence_system();
}

}  // namespace kelvin::hbm

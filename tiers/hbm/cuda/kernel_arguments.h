// What the kernels of kernels.cu are given: one struct each, by value, as host and GPU both see it.
//
// A kernel works on a list of entries, each cut into chunks; the chunks of all entries are numbered through,
// so that whoever takes chunk c finds its entry by `first_chunk`. Lists lie in pinned host memory, which the
// GPU reads by itself: no copy has to come before the kernel.
//
// Thread contract: plain data.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kelvin::hbm {

inline constexpr std::uint32_t kListEntries = 512;         // a list has at most so many
inline constexpr std::uint64_t kCopyChunk = 4096;          // what a warp copies at a time
inline constexpr std::uint64_t kChecksumChunk = 1024;      // what a thread takes the checksum of
inline constexpr std::uint32_t kThreads = 512;             // of one CTA
inline constexpr const char* kCopyKernel = "kelvin_copy";  // the names in the compiled image
inline constexpr const char* kChecksumKernel = "kelvin_checksum";

struct ListEntry {
  const std::byte* from;
  std::byte* to;  // copies only
  std::uint64_t bytes;
  std::uint64_t first_chunk;  // the number of this entry's first chunk
};

struct CopyArguments {
  const ListEntry* list;
  std::uint64_t chunks;  // of all entries
  std::uint32_t entries;
};

// Where the CTAs of checksums that follow each other on one queue add up their parts; all 0 between them.
struct ChecksumSum {
  std::uint32_t parts;
  std::uint32_t ended;  // CTAs that have added theirs
};

struct ChecksumArguments {
  const ListEntry* list;
  std::uint64_t chunks;
  std::uint64_t behind;  // bytes of the message that come after this list
  ChecksumSum* sum;
  std::uint32_t* result;  // null: more lists of the same message follow
  std::uint32_t entries;
  std::uint32_t inversions;  // crc_inversions of the whole message
};

constexpr std::uint64_t chunks_of(std::uint64_t bytes, std::uint64_t chunk) {
  return (bytes + chunk - 1) / chunk;
}

}  // namespace kelvin::hbm

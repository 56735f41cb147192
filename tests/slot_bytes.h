// Bytes of slots in host memory or in a file, for tests: a pattern named by a seed, written and compared.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <vector>

#include "kelvin/tier.h"

namespace kelvin::testing {

// The bytes that `seed` names: no two seeds agree in any aligned eight bytes, but by chance.
inline std::vector<std::byte> pattern(std::uint64_t seed, std::size_t bytes) {
  std::vector<std::byte> out(bytes);
  std::uint64_t state = seed * 0x9E3779B97F4A7C15ULL + 1;
  for (std::size_t i = 0; i < bytes; i += 8) {
    std::uint64_t v = state += 0x9E3779B97F4A7C15ULL;
    v = (v ^ (v >> 30)) * 0xBF58476D1CE4E5B9ULL;
    v = (v ^ (v >> 27)) * 0x94D049BB133111EBULL;
    v ^= v >> 31;
    std::memcpy(out.data() + i, &v, bytes - i < 8 ? bytes - i : 8);
  }
  return out;
}

// A buffer that O_DIRECT accepts.
struct FreeAligned {
  void operator()(std::byte* p) const { std::free(p); }
};
inline std::unique_ptr<std::byte, FreeAligned> aligned_buffer(std::size_t bytes) {
  constexpr std::size_t kAlignment = 4096;
  void* p = std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  if (p == nullptr) throw std::bad_alloc();
  return std::unique_ptr<std::byte, FreeAligned>(static_cast<std::byte*>(p));
}

// Writes a whole slot's bytes. False: the tier did not take them, or there is no way to it.
inline bool write_slot(const Tier& tier, Slot slot, std::span<const std::byte> bytes) {
  const TierInfo& info = tier.info();
  if (info.access != nullptr) return info.access->write(slot, bytes).ok();
  for (std::uint32_t s = 0; s < info.segments; ++s) {
    const Address at = tier.address(slot, s);
    const auto piece = bytes.subspan(s * info.segment_bytes, info.segment_bytes);
    if (at.space == AddressSpace::kHost) {
      std::memcpy(at.pointer, piece.data(), piece.size());
    } else if (at.space == AddressSpace::kFile) {
      const auto buffer = aligned_buffer(piece.size());
      std::memcpy(buffer.get(), piece.data(), piece.size());
      const auto offset = static_cast<off_t>(at.offset);
      if (::pwrite(at.device, buffer.get(), piece.size(), offset) != static_cast<ssize_t>(piece.size()))
        return false;
    } else {
      return false;
    }
  }
  return true;
}

// A whole slot's bytes; empty where they cannot be read.
inline std::vector<std::byte> read_slot(const Tier& tier, Slot slot) {
  const TierInfo& info = tier.info();
  std::vector<std::byte> bytes(info.slot_bytes);
  if (info.access != nullptr) {
    if (!info.access->read(slot, bytes).ok()) return {};
    return bytes;
  }
  for (std::uint32_t s = 0; s < info.segments; ++s) {
    const Address at = tier.address(slot, s);
    std::byte* const piece = bytes.data() + s * info.segment_bytes;
    if (at.space == AddressSpace::kHost) {
      std::memcpy(piece, at.pointer, info.segment_bytes);
    } else if (at.space == AddressSpace::kFile) {
      const auto buffer = aligned_buffer(info.segment_bytes);
      const auto offset = static_cast<off_t>(at.offset);
      const auto got = ::pread(at.device, buffer.get(), info.segment_bytes, offset);
      if (got != static_cast<ssize_t>(info.segment_bytes)) return {};
      std::memcpy(piece, buffer.get(), info.segment_bytes);
    } else {
      return {};
    }
  }
  return bytes;
}

inline bool fill_slot(const Tier& tier, Slot slot, std::uint64_t seed) {
  return write_slot(tier, slot, pattern(seed, tier.info().slot_bytes));
}

inline bool slot_holds(const Tier& tier, Slot slot, std::uint64_t seed) {
  return read_slot(tier, slot) == pattern(seed, tier.info().slot_bytes);
}

}  // namespace kelvin::testing

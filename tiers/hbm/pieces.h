// Pieces: what has to be copied between two blocks whose segments need not agree, as few pieces as possible.
//
// Thread contract: plain values.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "kelvin/tier.h"
#include "tiers/hbm/device.h"

namespace kelvin::hbm {

// The bytes of one block: in a slot of a tier, segment by segment, or (without a tier) in one run.
struct BlockBytes {
  const Tier* tier = nullptr;
  Slot slot;
  std::byte* run = nullptr;
};

// Walks them.
class BlockWalk {
 public:
  BlockWalk(const BlockBytes& block, std::uint64_t offset) noexcept : block_(block), offset_(offset) {
    if (block.tier == nullptr) return;
    segment_bytes_ = block.tier->info().segment_bytes;
    segment_ = static_cast<std::uint32_t>(offset / segment_bytes_);
    offset_ = offset % segment_bytes_;
  }

  // `left()` bytes follow `here()` without a gap.
  std::byte* here() const noexcept {
    if (block_.tier == nullptr) return block_.run + offset_;
    return block_.tier->address(block_.slot, segment_).pointer + offset_;
  }
  std::uint64_t left() const noexcept { return segment_bytes_ - offset_; }
  void advance(std::uint64_t bytes) noexcept {
    offset_ += bytes;
    if (offset_ != segment_bytes_) return;
    offset_ = 0;
    ++segment_;
  }

 private:
  BlockBytes block_;
  std::uint64_t segment_bytes_ = ~std::uint64_t{0};  // of a run: it has no end here
  std::uint32_t segment_ = 0;
  std::uint64_t offset_;
};

// Calls f(from, to, bytes) for the bytes [begin, end) of a block, in their order.
template <class F>
void each_piece(const BlockBytes& from, const BlockBytes& to, std::uint64_t begin, std::uint64_t end, F&& f) {
  if (begin == end) return;
  BlockWalk source(from, begin);
  BlockWalk target(to, begin);
  for (std::uint64_t left = end - begin;;) {
    const std::uint64_t bytes = std::min({left, source.left(), target.left()});
    f(source.here(), target.here(), bytes);
    left -= bytes;
    if (left == 0) return;
    source.advance(bytes);
    target.advance(bytes);
  }
}

// Adds the runs that a slot of device memory consists of. Precondition: room for its segments is reserved.
inline void add_extents(const Tier& tier, Slot slot, std::vector<Extent>& extents) noexcept {
  const std::uint64_t bytes = tier.info().segment_bytes;
  for (std::uint32_t segment = 0; segment < tier.info().segments; ++segment) {
    const std::byte* const at = tier.address(slot, segment).pointer;
    if (!extents.empty() && extents.back().at + extents.back().bytes == at) {
      extents.back().bytes += bytes;
    } else {
      extents.push_back({at, bytes});
    }
  }
}

// Up to kMaxPieces of them. Pieces of a block that follow each other on both sides are one; those of two
// blocks are not, for the blocks may lie in memory that was registered apart.
class PieceList {
 public:
  PieceList() { pieces_.reserve(kMaxPieces); }

  bool empty() const noexcept { return pieces_.empty(); }
  bool full() const noexcept { return pieces_.size() == kMaxPieces; }
  std::uint64_t bytes() const noexcept { return bytes_; }
  std::span<const Piece> all() const noexcept { return pieces_; }

  // Precondition: !full().
  void add(const std::byte* from, std::byte* to, std::uint64_t bytes) noexcept {
    assert(!full());
    bytes_ += bytes;
    if (!pieces_.empty() && !std::exchange(apart_, false)) {
      Piece& last = pieces_.back();
      if (last.from + last.bytes == from && last.to + last.bytes == to) {
        last.bytes += bytes;
        return;
      }
    }
    pieces_.push_back({from, to, bytes});
  }
  // What is added next is of another block.
  void end_block() noexcept { apart_ = true; }
  void clear() noexcept {
    pieces_.clear();
    bytes_ = 0;
    apart_ = false;
  }

 private:
  std::vector<Piece> pieces_;
  std::uint64_t bytes_ = 0;
  bool apart_ = false;
};

}  // namespace kelvin::hbm

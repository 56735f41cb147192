// BufferMap: host memory cut into pieces that a kernel can register, and which piece an address lies in.
//
// Thread contract: immutable after construction; any thread.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>
#include <vector>

#include "kelvin/tier.h"

namespace kelvin::nvme {

class BufferMap {
 public:
  // `unit_bytes`: pieces are cut at multiples of this, counted from each range's base, so that no block lies
  // in two of them; 0 or more than a piece's limit: anywhere.
  BufferMap(std::span<const HostRange> ranges, std::uint64_t unit_bytes);

  // The pieces, by rising address. Piece i is registered as buffer i.
  std::span<const iovec> pieces() const noexcept { return pieces_; }

  // The piece that holds all of `buffer`; -1 if none does.
  int find(const iovec& buffer) const noexcept;

 private:
  std::vector<iovec> pieces_;
};

}  // namespace kelvin::nvme

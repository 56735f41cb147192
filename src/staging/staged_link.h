// StagedLink: a link made of two, through a few slots of host memory that nobody else uses. It joins tiers
// that no link joins directly: GPU memory and a drive, two drives.
//
// A copy has a staging slot to itself from submit to completion. The inner link *in* fills that slot, the
// inner link *out* copies it to where the block goes. Many copies are under way at once: while one leaves its
// slot, others arrive in theirs.
//
// Thread contract: that of Link.
// Invariants:
//   1. Copy n has staging slot n. Both are free again only when no device has either half of it in hand.
//   2. A copy is in exactly one of: free_, in_.waiting, the link in, out_.waiting, the link out, finished_.
//   3. The checksum is made on the way in, and is known on the way out.
//   4. A copy that fails says on which side: host memory between them has no part in it.
//   5. Nothing allocates after construction.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/fifo.h"
#include "kelvin/link.h"
#include "staging/joined_wake.h"

namespace kelvin {

class StagedLink final : public Link {
 public:
  // Precondition: `in` leads to `staging`, `out` leads from it, and nobody else uses its slots. May throw
  // std::bad_alloc.
  StagedLink(std::unique_ptr<Tier> staging, std::unique_ptr<Link> in, std::unique_ptr<Link> out);

  const LinkInfo& info() const noexcept override { return info_; }
  std::size_t submit(std::span<const Copy> copies) noexcept override;
  std::size_t poll(std::span<Completion> done) noexcept override;
  void cancel_all() noexcept override;

 private:
  static constexpr std::size_t kBatch = 64;

  struct Half {
    std::unique_ptr<Link> link;
    Fifo<std::uint32_t> waiting;  // copies that are to be submitted to it
  };
  struct Flight {
    Copy copy;
    std::uint32_t checksum = 0;  // once it is in its staging slot
    bool canceled = false;
    Completion end;  // once it is over
  };

  Copy half_of(const Half& half, std::uint32_t n) const noexcept;
  void pump(Half& half) noexcept;
  void collect(Half& half) noexcept;
  void arrive(std::uint32_t n, const Completion& completion) noexcept;
  void finish(std::uint32_t n, const Completion& end) noexcept;
  void cancel(Half& half) noexcept;

  // Links end before the memory that their devices may touch.
  const std::unique_ptr<Tier> staging_;
  Half in_;
  Half out_;
  const JoinedWake wake_;
  LinkInfo info_;

  std::vector<Flight> flights_;  // by staging slot
  Fifo<std::uint32_t> free_;
  Fifo<std::uint32_t> finished_;
  std::array<Copy, kBatch> copies_;
  std::array<Completion, kBatch> completions_;
};

}  // namespace kelvin

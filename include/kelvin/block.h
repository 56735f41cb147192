// The words every other header uses: block, key, slot, tier index, hints.
//
// Thread contract: plain values.
#pragma once

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace kelvin {

// A number that cannot be mistaken for another kind of number.
template <class Tag, class Rep>
struct StrongId {
  static constexpr Rep kNone = static_cast<Rep>(-1);
  Rep value = kNone;

  constexpr StrongId() noexcept = default;
  constexpr explicit StrongId(Rep v) noexcept : value(v) {}
  constexpr explicit operator bool() const noexcept { return value != kNone; }
  friend constexpr auto operator<=>(StrongId, StrongId) noexcept = default;
};

// A block's record in the table of one space. Reused after the block is forgotten: it names a block
// only while something (a lease, the planner) keeps the block alive.
using BlockId = StrongId<struct BlockTag, std::uint32_t>;

// The physical place of one block in one tier: 0 .. TierInfo::slots - 1.
using Slot = StrongId<struct SlotTag, std::uint32_t>;

// A tier of a space, in the order of the config: 0 is nearest to compute.
using TierIndex = StrongId<struct TierTag, std::uint8_t>;
inline constexpr TierIndex kNoTier{};

// A space has at most this many tiers: a block's record (one cache line) names a slot in each.
inline constexpr std::size_t kMaxTiers = 8;

// 128-bit chained hash that names a whole prefix: see hash.h. Any 128 bits are a valid key; an
// engine may bring its own.
struct BlockKey {
  std::uint64_t hi = 0;
  std::uint64_t lo = 0;
  friend constexpr auto operator<=>(const BlockKey&, const BlockKey&) noexcept = default;
};

// Why a request's output ended: after kToolUse its session usually returns within seconds.
enum class FinishReason : std::uint8_t { kUnknown, kStop, kLength, kToolUse, kCanceled };

// What the engine knows about the request behind a call. All of it is advice to the policy: blocks
// are right, and found, without it.
struct Hints {
  std::uint64_t session = 0;        // the conversation, 0 = unknown
  std::uint32_t output_tokens = 0;  // length of the answer, known at release
  FinishReason finish = FinishReason::kUnknown;
  std::uint8_t priority = 50;  // 0 = first to go, 100 = last to go
  // Retention, at publish and release: so long from then on the blocks go from a tier after all that are not
  // retained, and after those retained at a lower priority. To the second, never shorter; at most 48 days. A
  // later wish prolongs and raises it. 0 = none: the policy weighs the priority as it likes.
  std::chrono::seconds retain_for{0};
  // Whose blocks these are, at publish: tenant_id(salt), see hash.h. Counts where the config lists that
  // tenant. 0 = as the block before them.
  std::uint64_t tenant = 0;
};

// What is wished for a run of the blocks of one lease, instead of what Hints say of the whole.
struct RetainRange {
  std::uint32_t first = 0;   // in the lease
  std::uint32_t blocks = 0;  // as far as the lease has them
  std::uint8_t priority = 50;
  std::chrono::seconds retain_for{0};
};

}  // namespace kelvin

template <>
struct std::hash<kelvin::BlockKey> {
  std::size_t operator()(const kelvin::BlockKey& key) const noexcept {
    return static_cast<std::size_t>(key.hi ^ (key.lo * 0x9E3779B97F4A7C15ULL));
  }
};

// The keys common to every config, one line each: parsing, validation, suggestions, to_toml and the test of
// docs/tuning.md all read these tables. A new common key is one member in kelvin/config.h and one line here.
//
// Thread contract: constant tables and pure functions.
// Invariants (tests/config_keys_test.cc):
//   1. Each `fallback` is the default of the member it names.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "kelvin/config.h"

namespace kelvin::config {

// The member of section S that a key sets. kInteger sets either integer, kBytes a 64-bit one.
template <class S>
using Member = std::variant<std::uint64_t S::*, std::uint32_t S::*, double S::*, std::string S::*>;

template <class S>
struct Key {
  OptionSpec spec;
  std::string_view unit;  // what is counted, for docs; empty where the type says it
  Member<S> member;
};

inline constexpr double kMaxSlots = 4'294'967'294.0;  // Slot and BlockId count to 2^32 - 2

inline constexpr std::array<Key<SpaceConfig>, 7> kSpaceKeys = {{
    {{"block_bytes",
      OptionType::kBytes,
      "2MiB",
      "one block's bytes; large ones keep devices at full speed",
      {},
      64,
      1 << 30},
     "a multiple of 64 bytes",
     &SpaceConfig::block_bytes},
    {{"block_tokens",
      OptionType::kInteger,
      "512",
      "tokens whose KV one block holds; for hashing and estimates",
      {},
      1,
      1 << 20},
     "tokens",
     &SpaceConfig::block_tokens},
    {{"model", OptionType::kText, "unnamed", "part of every key: blocks of other models never match"},
     "",
     &SpaceConfig::model},
    {{"max_leases",
      OptionType::kInteger,
      "1024",
      "leases and tickets alive at once; a hard cap, kBusy beyond",
      {},
      1,
      1 << 20},
     "leases",
     &SpaceConfig::max_leases},
    {{"ghosts_percent",
      OptionType::kInteger,
      "10",
      "records beyond the slots, for prefixes that lost a middle block",
      {},
      0,
      400},
     "% of all slots",
     &SpaceConfig::ghosts_percent},
    {{"prefill_tokens_per_second",
      OptionType::kReal,
      "8000",
      "speed of recomputing: is loading a block faster?",
      {},
      1,
      1e9},
     "tokens a second",
     &SpaceConfig::prefill_tokens_per_second},
    {{"seed", OptionType::kInteger, "0", "of the index; 0 = random, any other makes runs repeat exactly"},
     "",
     &SpaceConfig::seed},
}};

inline constexpr std::array<Key<TierConfig>, 11> kTierKeys = {{
    {{"name", OptionType::kText, "", "unique; what statistics and messages call the tier"},
     "",
     &TierConfig::name},
    {{"kind", OptionType::kText, "", "the kind of memory; it decides which further keys there are"},
     "",
     &TierConfig::kind},
    {{"capacity", OptionType::kBytes, "", "a hard cap, never exceeded; rounded down to whole blocks", {}, 1},
     "",
     &TierConfig::capacity_bytes},
    {{"free_ahead",
      OptionType::kReal,
      "2%",
      "slots kept free ahead of demand; 0 = evict on demand only",
      {},
      0,
      0.5},
     "of the tier's slots",
     &TierConfig::free_ahead},
    {{"write_budget", OptionType::kBytes, "0B",
      "written behind to it at most; 0 = no limit. What finds no budget is forgotten instead"},
     "a second",
     &TierConfig::write_budget},
    {{"scrub", OptionType::kBytes, "0B",
      "of persistent blocks, read in quiet moments to find those that have rotted; 0 = none"},
     "a second",
     &TierConfig::scrub},
    {{"placement", OptionType::kChoice, "keep",
      "what a promotion leaves here: the copy, or (exclusive) nothing", "keep|exclusive"},
     "",
     &TierConfig::placement},
    {{"pin_share", OptionType::kReal, "10%", "most slots that pins may take; kFull beyond", {}, 0, 1},
     "of the tier's slots",
     &TierConfig::pin_share},
    {{"load_latency", OptionType::kDuration, "0ns",
      "of one block from here, until measured; 0 = as the link says"},
     "",
     &TierConfig::load_latency_ns},
    {{"load_bandwidth", OptionType::kBytes, "0B", "of reads from here, until measured; 0 = as the link says"},
     "a second",
     &TierConfig::load_bandwidth},
    {{"store_bandwidth", OptionType::kBytes, "0B",
      "of writes to here, until measured; 0 = as load_bandwidth"},
     "a second",
     &TierConfig::store_bandwidth},
}};

inline constexpr std::array<Key<PolicyConfig>, 2> kPolicyKeys = {{
    {{"name", OptionType::kText, "heat", "which policy decides what moves and what is forgotten"},
     "",
     &PolicyConfig::name},
    {{"learned", OptionType::kText, "none",
      "file of what the policy has learned: read at the start, written at the end"},
     "a path",
     &PolicyConfig::learned},
}};

inline constexpr std::array<Key<MoverConfig>, 8> kMoverKeys = {{
    {{"threads",
      OptionType::kInteger,
      "1",
      "1 = a thread of its own moves blocks; 0 = the caller, by Space::poll()",
      {},
      0,
      1},
     "threads",
     &MoverConfig::threads},
    {{"queue",
      OptionType::kInteger,
      "4096",
      "moves planned or under way at once; refused beyond",
      {},
      16,
      1 << 20},
     "moves",
     &MoverConfig::queue},
    {{"demand_retries",
      OptionType::kInteger,
      "2",
      "further tries of a load that failed or did not verify",
      {},
      0,
      100},
     "tries",
     &MoverConfig::demand_retries},
    {{"offline_after",
      OptionType::kInteger,
      "32",
      "copies that fail in a row and so take a tier offline",
      {},
      1,
      1'000'000},
     "copies",
     &MoverConfig::offline_after},
    {{"write_depth",
      OptionType::kInteger,
      "32",
      "write-behind copies under way on one link; fewer keep reads ahead",
      {},
      1,
      65536},
     "copies",
     &MoverConfig::write_depth},
    {{"staging",
      OptionType::kBytes,
      "64MiB",
      "host memory of each link through host memory, where none joins two tiers directly",
      {},
      1},
     "",
     &MoverConfig::staging_bytes},
    {{"deadline", OptionType::kDuration, "30s",
      "of one copy; a device that takes longer goes offline and is not waited for. 0 = none"},
     "",
     &MoverConfig::deadline_ns},
    {{"retry_offline", OptionType::kDuration, "30s",
      "before a tier that went offline is tried again; 0 = only by Space::bring_back()"},
     "",
     &MoverConfig::retry_offline_ns},
}};

inline constexpr std::array<Key<TenantConfig>, 3> kTenantKeys = {{
    {{"name", OptionType::kText, "", "unique; what statistics and messages call the tenant"},
     "",
     &TenantConfig::name},
    {{"salt", OptionType::kText, "", "what its keys are salted with, and Hints::tenant is made from"},
     "",
     &TenantConfig::salt},
    {{"share",
      OptionType::kReal,
      "",
      "nothing goes for the sake of others while the tenant has no more of a tier",
      {},
      0,
      1},
     "of each tier, but for free_ahead",
     &TenantConfig::share},
}};

// Whether the engine may hand over the memory of tiers of this kind: their capacity is that memory's.
constexpr bool adopts_memory(std::string_view kind) noexcept { return kind == "adopted" || kind == "hbm"; }

// Sets the member from text that value_problem found good.
template <class S>
void set_key(const Key<S>& key, std::string_view text, S& section);

// The member's value as text, as it is written in TOML without quotes.
template <class S>
std::string key_text(const Key<S>& key, const S& section);

extern template void set_key(const Key<SpaceConfig>&, std::string_view, SpaceConfig&);
extern template void set_key(const Key<TierConfig>&, std::string_view, TierConfig&);
extern template void set_key(const Key<PolicyConfig>&, std::string_view, PolicyConfig&);
extern template void set_key(const Key<MoverConfig>&, std::string_view, MoverConfig&);
extern template void set_key(const Key<TenantConfig>&, std::string_view, TenantConfig&);
extern template std::string key_text(const Key<SpaceConfig>&, const SpaceConfig&);
extern template std::string key_text(const Key<TierConfig>&, const TierConfig&);
extern template std::string key_text(const Key<PolicyConfig>&, const PolicyConfig&);
extern template std::string key_text(const Key<MoverConfig>&, const MoverConfig&);
extern template std::string key_text(const Key<TenantConfig>&, const TenantConfig&);

// The key of that name in a table, null if there is none.
template <class S, std::size_t N>
const Key<S>* find_key(const std::array<Key<S>, N>& keys, std::string_view name) {
  for (const Key<S>& key : keys) {
    if (key.spec.name == name) return &key;
  }
  return nullptr;
}

}  // namespace kelvin::config

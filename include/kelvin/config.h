// Config: everything an operator may set, as plain structs. docs/tuning.md lists every key.
//
// Keys common to all tiers are members; keys of one kind of tier, or of one policy, travel as `Options`
// and are checked against the table that the kind itself declares (OptionSpec), so that a new kind adds
// its keys in its own folder. Filled from TOML by parse_config, or by hand; Space::open validates both.
//
// Thread contract: plain values.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kelvin/status.h"

namespace kelvin {

enum class OptionType : std::uint8_t {
  kText,      // "any text"
  kTextList,  // "one" or ["one", "two"]
  kChoice,    // one of OptionSpec::choices
  kBoolean,   // true | false
  kInteger,   // 42
  kReal,      // 0.5
  kBytes,     // "8GiB", "512KiB", or a plain number of bytes
  kDuration,  // "10min", "250us": kept in nanoseconds
};

// One key a tier kind or a policy understands.
struct OptionSpec {
  std::string_view name;
  OptionType type = OptionType::kText;
  std::string_view fallback;      // the default, written as in TOML without quotes; "" = must be given
  std::string_view reason;        // one line for docs/tuning.md and error messages
  std::string_view choices = {};  // kChoice: "a|b|c"
  double min = 0;                 // kInteger, kReal, kBytes, kDuration
  double max = 1e18;
};

// One given option: its value as text (a list is joined by '\n') and where it stood.
struct Option {
  std::string name;
  std::string value;
  std::uint32_t line = 0;  // 0: not from a file
  std::uint32_t column = 0;
};

// Given options read through a kind's specs. Build it with `bind`; the getters then cannot fail.
class Options {
 public:
  // Checks `given` against `specs`: unknown names, wrong types, out of range, missing. On error returns
  // kInvalid and, where `why` is not null, says what, where and how to mend it.
  // `what`: the place for messages, e.g. "tier 'nvme'". `specs` must outlive the Options.
  static Result<Options> bind(std::span<const OptionSpec> specs, const std::vector<Option>& given,
                              std::string_view what, std::string* why);

  // Precondition of all: `name` is in the specs with that type (asserted).
  std::string text(std::string_view name) const;                    // kText, kChoice
  std::vector<std::string> text_list(std::string_view name) const;  // kTextList
  bool boolean(std::string_view name) const;                        // kBoolean
  std::int64_t integer(std::string_view name) const;                // kInteger
  double real(std::string_view name) const;                         // kReal
  std::uint64_t bytes(std::string_view name) const;                 // kBytes
  std::uint64_t duration_ns(std::string_view name) const;           // kDuration

 private:
  const std::string& value_of(std::string_view name, OptionType type) const;

  std::span<const OptionSpec> specs_;
  std::vector<std::string> values_;  // one for each spec
};

struct SpaceConfig {
  std::uint64_t block_bytes = 2u << 20;     // below HBM one contiguous extent; 512 KiB-2 MiB suit NVMe
  std::uint32_t block_tokens = 512;         // only for hashing tokens and for estimates
  std::string model = "unnamed";            // part of the layout: other models' blocks never match
  std::uint32_t max_leases = 1024;          // leases and tickets alive at once; a hard cap
  std::uint32_t ghosts_percent = 10;        // records beyond the slots, for prefixes with a lost middle
  double prefill_tokens_per_second = 8000;  // for "is loading faster than recomputing?"
  std::uint64_t seed = 0;                   // of the index; 0 = random. Fixed: runs repeat exactly
};

struct TierConfig {
  std::string name;
  std::string kind;
  std::uint64_t capacity_bytes = 0;  // a hard cap; rounded down to whole blocks
  // Slots kept free ahead of demand, as a share of the slots: allocation then is a pop from a list.
  // 0 = evict on demand only.
  double free_ahead = 0.02;
  // Bytes a second that may be written behind to it, on average; 0 = no limit. Beyond it, blocks that would
  // be demoted to it are forgotten instead. Loads are never held back.
  std::uint64_t write_budget = 0;
  // Bytes a second that are read, while nobody else reads from it, to find blocks that have rotted before
  // somebody asks for them; 0 = none. For tiers whose blocks outlive the process; others have nothing to
  // read.
  std::uint64_t scrub = 0;
  // What a promotion out of this tier leaves here: "keep" = the copy stays, so that evicting the block above
  // costs no second write; "exclusive" = the copy goes, so that the tiers hold more blocks together.
  std::string placement = "keep";
  // Most of its slots that pins may take (Space::pin): kFull beyond. What is pinned makes no room for others.
  double pin_share = 0.1;
  // What is known of its links beforehand: estimates until they have been measured, and the speeds that a
  // simulation takes for real. 0 = what the link says of itself.
  std::uint64_t load_latency_ns = 0;  // of one block toward tier 0
  std::uint64_t load_bandwidth = 0;   // bytes a second
  std::uint64_t store_bandwidth = 0;  // bytes a second; 0 = load_bandwidth
  std::vector<Option> options;        // keys of this kind
};

// Whom blocks belong to, as told by Hints::tenant.
struct TenantConfig {
  std::string name;  // for statistics: the salt may be a secret
  std::string salt;  // of its keys
  // Of each tier, but for the slots kept free ahead. While the tenant has no more copies in a tier, nothing
  // goes there for somebody else's sake. What it leaves unused others may fill. All shares together: 1 at
  // most.
  double share = 0;
};

struct PolicyConfig {
  std::string name = "heat";
  // A file with what the policy has learned: read when the space opens, written anew when it closes.
  // "none" = every run starts fresh.
  std::string learned = "none";
  std::vector<Option> options;  // keys of this policy
};

struct MoverConfig {
  std::uint32_t threads = 1;         // 0: the caller drives it by Space::poll()
  std::uint32_t queue = 4096;        // moves planned or under way at once
  std::uint32_t demand_retries = 2;  // of one copy that failed with kIo or kCorrupt
  std::uint32_t offline_after = 32;  // copies in a row that fail take a tier offline
  std::uint32_t write_depth = 32;    // write-behind copies under way on one link: reads stay ahead
  // Host memory of each link that goes through host memory because no other joins its tiers (GPU memory and a
  // drive, say), one link for each direction; beyond the tiers' capacities. In whole blocks, at least two. It
  // holds what both devices have in hand: a drive is at full speed with 32 blocks of 2 MiB.
  std::uint64_t staging_bytes = 64u << 20;
  // How long a device may take over one copy, in nanoseconds; then its tier goes offline and nobody waits for
  // it any more. 0 = for ever.
  std::uint64_t deadline_ns = 30'000'000'000;
  // How long a tier stays offline before it is tried again; twice as long after each trial that fails, up to
  // 32 times. 0 = until Space::bring_back.
  std::uint64_t retry_offline_ns = 30'000'000'000;
};

struct Config {
  SpaceConfig space;
  std::vector<TierConfig> tiers;  // in order of distance from compute
  PolicyConfig policy;
  MoverConfig mover;
  std::vector<TenantConfig> tenants;  // all others share what is left
};

// Parses TOML. `name` stands for the text in messages ("kelvin.toml"). Every mistake is an error: unknown
// keys (with the nearest known one), wrong types and units, missing or repeated names, with line and
// column in `why`. Checks everything that can be checked without touching a device.
Result<Config> parse_config(std::string_view text, std::string_view name, std::string* why);

// Reads and parses a file.
Result<Config> load_config(const std::string& path, std::string* why);

// Checks a config made by hand as parse_config checks a file.
Status validate(const Config& config, std::string* why);

// Writes a config as TOML that parse_config reads back to the same config.
std::string to_toml(const Config& config);

// Single keys by path: "space.max_leases", "tier.dram.capacity" (the tier by its name), "policy.sample",
// "mover.queue", "tenant.chat.share" (the tenant by its name); the keys of a tier's kind and of the policy
// are reached like the common ones. All fail with kNotFound for a path that leads nowhere, and say in `why`
// (if not null) what is known there instead.

// What may be written there. Its views stay valid as long as the program runs.
Result<OptionSpec> key_at(const Config& config, std::string_view path, std::string* why);

// What is written there, as in TOML without quotes; a key of a kind that is not given has its default.
Result<std::string> value_at(const Config& config, std::string_view path, std::string* why);

// Writes `value` there. kInvalid: not a value of that key. Another policy.name or tier kind takes the keys of
// the one before away. Only this value is looked at: validate() says whether the whole is still good.
Status set_value(Config& config, std::string_view path, std::string_view value, std::string* why);

// "8GiB" -> 8589934592; also KB, MB, GB, TB (powers of 1000), KiB .. TiB, B and plain numbers.
Result<std::uint64_t> parse_bytes(std::string_view text);
// "250us" -> 250000; ns, us, ms, s, min, h.
Result<std::uint64_t> parse_duration_ns(std::string_view text);

}  // namespace kelvin

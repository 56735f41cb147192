// key_at, value_at, set_value: single keys of a Config by path.
//
// Thread contract: pure functions.
// Invariants:
//   1. Every key that to_toml writes has exactly one path.
//   2. Numbers are kept in the form that to_toml gives them: equal settings have equal texts.
#include <algorithm>
#include <functional>
#include <new>
#include <utility>

#include "base/format_text.h"
#include "config/check.h"
#include "config/keys.h"
#include "config/suggest.h"
#include "config/units.h"
#include "config/value.h"
#include "kelvin/config.h"
#include "registry.h"

namespace kelvin {
namespace config {
namespace {

// One key of one config, found.
struct Found {
  OptionSpec spec;
  std::string what;  // for messages: "tier 'dram'"
  std::function<std::string()> read;
  std::function<void(const std::string&)> write;
};

struct Path {
  std::string_view section;  // "tier"
  std::string_view name;     // "dram"; empty but for tiers and tenants
  std::string_view key;      // "capacity"
};

// The name of a tier or a tenant may hold dots; a key never does.
Path split_path(std::string_view path) {
  const std::size_t first = path.find('.');
  const std::size_t last = path.rfind('.');
  if (first == std::string_view::npos) return {path, {}, {}};
  Path parts{path.substr(0, first), {}, path.substr(last + 1)};
  if (last > first) parts.name = path.substr(first + 1, last - first - 1);
  return parts;
}

std::string canonical(const OptionSpec& spec, std::string_view text) {
  std::uint64_t count = 0;
  std::int64_t integer = 0;
  double real = 0;
  switch (spec.type) {
    case OptionType::kBytes:
      return read_bytes(text, count) == nullptr ? write_bytes(count) : std::string(text);
    case OptionType::kDuration:
      return read_duration(text, count) == nullptr ? write_duration(count) : std::string(text);
    case OptionType::kInteger:
      return read_integer(text, integer) == nullptr ? format_text("{}", integer) : std::string(text);
    case OptionType::kReal:
      if ((is_share(spec) ? read_share : read_real)(text, real) != nullptr) return std::string(text);
      return is_share(spec) ? write_share(real) : write_real(real);
    default: return std::string(text);
  }
}

// The own keys of a tier's kind or of a policy; absent in `options` where they have their default.
Found found_option(const OptionSpec& spec, std::string what, std::vector<Option>& options) {
  const auto find = [&options, name = spec.name] { return std::ranges::find(options, name, &Option::name); };
  return {spec, std::move(what),
          [&options, spec, find] {
            const auto given = find();
            return canonical(spec, given == options.end() ? spec.fallback : std::string_view(given->value));
          },
          [&options, spec, find](const std::string& text) {
            const auto given = find();
            if (given == options.end()) {
              options.push_back({std::string(spec.name), text});
            } else {
              *given = {std::string(spec.name), text};
            }
          }};
}

template <class S>
Found found_key(const Key<S>& key, std::string what, S& section) {
  return {key.spec, std::move(what), [&key, &section] { return key_text(key, section); },
          [&key, &section](const std::string& text) { set_key(key, text, section); }};
}

template <class S, std::size_t N>
bool find_common(const std::array<Key<S>, N>& keys, std::string_view name, std::string_view what, S& section,
                 Found& found) {
  const Key<S>* key = find_key(keys, name);
  if (key != nullptr) found = found_key(*key, std::string(what), section);
  return key != nullptr;
}

bool find_own(std::span<const OptionSpec> specs, std::string_view name, std::string_view what,
              std::vector<Option>& options, Found& found) {
  const auto spec = std::ranges::find(specs, name, &OptionSpec::name);
  if (spec != specs.end()) found = found_option(*spec, std::string(what), options);
  return spec != specs.end();
}

std::span<const OptionSpec> specs_of(const TierConfig& tier) {
  const TierFactory* factory = find_tier_factory(tier.kind);
  return factory == nullptr ? std::span<const OptionSpec>() : factory->options;
}

std::span<const OptionSpec> specs_of(const PolicyConfig& policy) {
  const PolicyFactory* factory = find_policy_factory(policy.name);
  return factory == nullptr ? std::span<const OptionSpec>() : factory->options;
}

bool find_in_tier(const Path& path, TierConfig& tier, Found& found) {
  const std::string what = tier_words(tier.name, 0);
  if (!find_common(kTierKeys, path.key, what, tier, found)) {
    return find_own(specs_of(tier), path.key, what, tier.options, found);
  }
  if (path.key == "kind") {
    found.write = [&tier](const std::string& text) {
      if (tier.kind != text) tier.options.clear();
      tier.kind = text;
    };
  }
  return true;
}

bool find_in_policy(const Path& path, PolicyConfig& policy, Found& found) {
  if (!find_common(kPolicyKeys, path.key, "[policy]", policy, found)) {
    return find_own(specs_of(policy), path.key, format_text("policy '{}'", policy.name), policy.options,
                    found);
  }
  found.write = [&policy](const std::string& text) {
    if (policy.name != text) policy.options.clear();
    policy.name = text;
  };
  return true;
}

bool find(Config& config, std::string_view text, Found& found) {
  const Path path = split_path(text);
  if (path.section == "tier") {
    const auto tier = std::ranges::find(config.tiers, path.name, &TierConfig::name);
    return tier != config.tiers.end() && find_in_tier(path, *tier, found);
  }
  if (path.section == "tenant") {
    const auto tenant = std::ranges::find(config.tenants, path.name, &TenantConfig::name);
    return tenant != config.tenants.end() &&
           find_common(kTenantKeys, path.key, tenant_words(tenant->name, 0), *tenant, found);
  }
  if (!path.name.empty()) return false;
  if (path.section == "space") return find_common(kSpaceKeys, path.key, "[space]", config.space, found);
  if (path.section == "mover") return find_common(kMoverKeys, path.key, "[mover]", config.mover, found);
  return path.section == "policy" && find_in_policy(path, config.policy, found);
}

template <class S, std::size_t N>
void add_paths(const std::string& prefix, const std::array<Key<S>, N>& keys,
               std::span<const OptionSpec> specs, std::vector<std::string>& paths) {
  for (const Key<S>& key : keys) paths.push_back(prefix + std::string(key.spec.name));
  for (const OptionSpec& spec : specs) paths.push_back(prefix + std::string(spec.name));
}

std::vector<std::string> paths_of(const Config& config) {
  std::vector<std::string> paths;
  add_paths("space.", kSpaceKeys, {}, paths);
  for (const TierConfig& tier : config.tiers) {
    add_paths("tier." + tier.name + ".", kTierKeys, specs_of(tier), paths);
  }
  add_paths("policy.", kPolicyKeys, specs_of(config.policy), paths);
  add_paths("mover.", kMoverKeys, {}, paths);
  for (const TenantConfig& tenant : config.tenants)
    add_paths("tenant." + tenant.name + ".", kTenantKeys, {}, paths);
  return paths;
}

// Another policy's key is a likely mistake: one is tuned, the other is configured.
std::string owner_of(const Path& path) {
  if (path.section != "policy") return {};
  for (const PolicyFactory* factory : policy_factories()) {
    if (std::ranges::find(factory->options, path.key, &OptionSpec::name) != factory->options.end()) {
      return std::string(factory->name);
    }
  }
  return {};
}

std::string_view section_of(std::string_view path) { return path.substr(0, path.rfind('.') + 1); }

// The keys beside the one that is not there; of a section that is not there either, the sections.
std::string nowhere(const Config& config, std::string_view text) {
  const std::string owner = owner_of(split_path(text));
  if (!owner.empty()) {
    return format_text("policy '{}' has no key {}; it is one of policy '{}': set policy.name to that first",
                       config.policy.name, in_quotes(split_path(text).key), owner);
  }
  const std::vector<std::string> paths = paths_of(config);
  const std::vector<std::string_view> all(paths.begin(), paths.end());
  const std::string_view section = section_of(text);
  std::vector<std::string_view> beside;
  std::vector<std::string_view> sections;
  for (const std::string_view path : all) {
    if (section_of(path) == section) beside.push_back(path.substr(section.size()));
    if (sections.empty() || sections.back() != section_of(path)) sections.push_back(section_of(path));
  }
  if (!beside.empty() && !section.empty()) {
    const std::string_view key = text.substr(section.size());
    return format_text("{} has no key {}{}", section.substr(0, section.size() - 1), in_quotes(key),
                       did_you_mean(key, beside));
  }
  const std::string_view meant = nearest(text, all);
  return format_text("there is no key {}{} Keys begin with {}", in_quotes(text),
                     meant.empty() ? std::string(".") : format_text("; did you mean '{}'?", meant),
                     in_a_row(sections));
}

std::string value_trouble(const Found& found, std::string_view key, std::string_view value) {
  Problems problems;
  if (found.what == "[policy]") {
    known_policy(value, {}, problems);
  } else if (key == "kind") {
    known_kind(value, found.what, {}, problems);
  } else if (const std::string problem = value_problem(found.spec, value); !problem.empty()) {
    problems.add({}, format_text("{}: {} = {}", found.what, found.spec.name, problem));
  }
  return problems.text({});
}

Status find_or_say(Config& config, std::string_view path, Found& found, std::string* why) {
  if (find(config, path, found)) return {};
  if (why != nullptr) *why = nowhere(config, path);
  return {Code::kNotFound, "looking for a key of a config"};
}

}  // namespace
}  // namespace config

Result<OptionSpec> key_at(const Config& config, std::string_view path, std::string* why) try {
  Config copy = config;
  config::Found found;
  if (Status status = config::find_or_say(copy, path, found, why); !status.ok()) return status;
  return found.spec;
} catch (const std::bad_alloc&) {
  return Status(Code::kFull, "out of memory while looking at a config");
}

Result<std::string> value_at(const Config& config, std::string_view path, std::string* why) try {
  Config copy = config;
  config::Found found;
  if (Status status = config::find_or_say(copy, path, found, why); !status.ok()) return status;
  return found.read();
} catch (const std::bad_alloc&) {
  return Status(Code::kFull, "out of memory while looking at a config");
}

Status set_value(Config& config, std::string_view path, std::string_view value, std::string* why) try {
  config::Found found;
  if (Status status = config::find_or_say(config, path, found, why); !status.ok()) return status;
  const std::string trouble = config::value_trouble(found, config::split_path(path).key, value);
  if (!trouble.empty()) {
    if (why != nullptr) *why = trouble;
    return {Code::kInvalid, "changing a config"};
  }
  found.write(config::canonical(found.spec, value));
  return {};
} catch (const std::bad_alloc&) {
  return {Code::kFull, "out of memory while changing a config"};
}

}  // namespace kelvin

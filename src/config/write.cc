// to_toml: a Config as text that parse_config reads back to the same Config.
//
// Thread contract: pure.
#include <algorithm>

#include "base/format_text.h"
#include "config/keys.h"
#include "config/units.h"
#include "config/value.h"
#include "registry.h"

namespace kelvin {
namespace config {
namespace {

// A TOML basic string.
std::string literal_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.append("\\").push_back(c);
    } else if (byte < 0x20 || byte == 0x7F) {
      out += format_text("\\u{:04X}", byte);
    } else {
      out.push_back(c);
    }
  }
  return out + "\"";
}

std::string literal_list(std::string_view text) {
  if (text.find('\n') == std::string_view::npos) return literal_text(text);
  std::string out = "[";
  for (const std::string_view element : split(text, '\n')) {
    out.append(out.size() > 1 ? ", " : "").append(literal_text(element));
  }
  return out + "]";
}

std::string literal_real(std::string_view text) {
  double value = 0;
  if (read_real(text, value) != nullptr) return literal_text(text);
  const std::string number = write_real(value);
  // TOML tells 1 from 1.0, and has no integer -0.
  return number.find_first_of(".e") == std::string::npos ? number + ".0" : number;
}

std::string literal_integer(std::string_view text) {
  std::int64_t value = 0;
  return read_integer(text, value) == nullptr ? format_text("{}", value) : literal_text(text);
}

std::string literal(OptionType type, std::string_view text) {
  switch (type) {
    case OptionType::kTextList: return literal_list(text);
    case OptionType::kInteger: return literal_integer(text);
    case OptionType::kReal: return literal_real(text);
    case OptionType::kBoolean:
      return text == "true" || text == "false" ? std::string(text) : literal_text(text);
    default: return literal_text(text);
  }
}

template <class S, std::size_t N>
void write_keys(const std::array<Key<S>, N>& keys, const S& section, std::string& out) {
  for (const Key<S>& key : keys) {
    out += format_text("{} = {}\n", key.spec.name, literal(key.spec.type, key_text(key, section)));
  }
}

void write_options(std::span<const OptionSpec> specs, const std::vector<Option>& options, std::string& out) {
  for (const Option& option : options) {
    const auto spec = std::ranges::find(specs, option.name, &OptionSpec::name);
    const OptionType type = spec == specs.end() ? OptionType::kText : spec->type;
    const std::string name = spec == specs.end() ? literal_text(option.name) : option.name;
    out += format_text("{} = {}\n", name, literal(type, option.value));
  }
}

void write_tier(const TierConfig& tier, std::string& out) {
  out += "\n[[tier]]\n";
  for (const Key<TierConfig>& key : kTierKeys) {
    const bool engines = key.spec.name == "capacity" && tier.capacity_bytes == 0;
    if (!engines) out += format_text("{} = {}\n", key.spec.name, literal(key.spec.type, key_text(key, tier)));
  }
  const TierFactory* factory = find_tier_factory(tier.kind);
  write_options(factory == nullptr ? std::span<const OptionSpec>() : factory->options, tier.options, out);
}

}  // namespace
}  // namespace config

std::string to_toml(const Config& config) {
  std::string out = "[space]\n";
  config::write_keys(config::kSpaceKeys, config.space, out);
  for (const TierConfig& tier : config.tiers) config::write_tier(tier, out);
  out += "\n[policy]\n";
  config::write_keys(config::kPolicyKeys, config.policy, out);
  const PolicyFactory* factory = find_policy_factory(config.policy.name);
  config::write_options(factory == nullptr ? std::span<const OptionSpec>() : factory->options,
                        config.policy.options, out);
  out += "\n[mover]\n";
  config::write_keys(config::kMoverKeys, config.mover, out);
  for (const TenantConfig& tenant : config.tenants) {
    out += "\n[[tenant]]\n";
    config::write_keys(config::kTenantKeys, tenant, out);
  }
  return out;
}

}  // namespace kelvin

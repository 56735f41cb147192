// See keys.h.
#include "config/keys.h"

#include "base/format_text.h"
#include "config/units.h"
#include "config/value.h"

namespace kelvin::config {
namespace {

// The complaints are dropped: the text was found good.
std::uint64_t read_count(const OptionSpec& spec, std::string_view text) {
  std::uint64_t bytes = 0;  // or nanoseconds
  std::int64_t number = 0;
  if (spec.type == OptionType::kBytes) return read_bytes(text, bytes) == nullptr ? bytes : 0;
  if (spec.type == OptionType::kDuration) return read_duration(text, bytes) == nullptr ? bytes : 0;
  return read_integer(text, number) == nullptr ? static_cast<std::uint64_t>(number) : 0;
}

void assign(const OptionSpec& spec, std::string_view text, std::uint64_t& to) { to = read_count(spec, text); }

void assign(const OptionSpec& spec, std::string_view text, std::uint32_t& to) {
  to = static_cast<std::uint32_t>(read_count(spec, text));
}

void assign(const OptionSpec& spec, std::string_view text, double& to) {
  double value = 0;
  if ((is_share(spec) ? read_share : read_real)(text, value) == nullptr) to = value;
}

void assign(const OptionSpec& /*spec*/, std::string_view text, std::string& to) { to = text; }

std::string text_of(const OptionSpec& spec, std::uint64_t value) {
  if (spec.type == OptionType::kBytes) return write_bytes(value);
  return spec.type == OptionType::kDuration ? write_duration(value) : format_text("{}", value);
}

std::string text_of(const OptionSpec& spec, std::uint32_t value) {
  return text_of(spec, static_cast<std::uint64_t>(value));
}

std::string text_of(const OptionSpec& spec, double value) {
  return is_share(spec) ? write_share(value) : write_real(value);
}

std::string text_of(const OptionSpec& /*spec*/, const std::string& value) { return value; }

}  // namespace

template <class S>
void set_key(const Key<S>& key, std::string_view text, S& section) {
  std::visit([&](auto member) { assign(key.spec, text, section.*member); }, key.member);
}

template <class S>
std::string key_text(const Key<S>& key, const S& section) {
  return std::visit([&](auto member) { return text_of(key.spec, section.*member); }, key.member);
}

template void set_key(const Key<SpaceConfig>&, std::string_view, SpaceConfig&);
template void set_key(const Key<TierConfig>&, std::string_view, TierConfig&);
template void set_key(const Key<PolicyConfig>&, std::string_view, PolicyConfig&);
template void set_key(const Key<MoverConfig>&, std::string_view, MoverConfig&);
template void set_key(const Key<TenantConfig>&, std::string_view, TenantConfig&);
template std::string key_text(const Key<SpaceConfig>&, const SpaceConfig&);
template std::string key_text(const Key<TierConfig>&, const TierConfig&);
template std::string key_text(const Key<PolicyConfig>&, const PolicyConfig&);
template std::string key_text(const Key<MoverConfig>&, const MoverConfig&);
template std::string key_text(const Key<TenantConfig>&, const TenantConfig&);

}  // namespace kelvin::config

// Options: the given keys of one tier or policy, checked once, then read by name.
//
// Thread contract: an Options is a value; const calls from any thread.
// Invariants:
//   1. values_[i] is a good value of specs_[i]: bind checked it, so the getters cannot fail.
#include <algorithm>
#include <cassert>
#include <new>

#include "config/units.h"
#include "config/value.h"
#include "kelvin/config.h"

namespace kelvin {
namespace {

template <class T>
T read(std::string_view text, config::Complaint (*reader)(std::string_view, T&)) {
  T value{};
  [[maybe_unused]] const config::Complaint complaint = reader(text, value);
  assert(complaint == nullptr && "bind lets no bad value in");
  return value;
}

}  // namespace

Result<Options> Options::bind(std::span<const OptionSpec> specs, const std::vector<Option>& given,
                              std::string_view what, std::string* why) {
  try {
    config::Problems problems;
    config::check_options(specs, given, what, {}, problems);
    if (!problems.none()) {
      if (why != nullptr) *why = problems.text({});
      return Status(Code::kInvalid, "options of a tier or policy");
    }
    Options options;
    options.specs_ = specs;
    for (const OptionSpec& spec : specs) {
      const auto it = std::ranges::find(given, spec.name, &Option::name);
      options.values_.push_back(it == given.end() ? std::string(spec.fallback) : it->value);
    }
    return options;
  } catch (const std::bad_alloc&) {
    return Status(Code::kFull, "out of memory while reading options");
  }
}

const std::string& Options::value_of(std::string_view name, [[maybe_unused]] OptionType type) const {
  const auto it = std::ranges::find(specs_, name, &OptionSpec::name);
  assert(it != specs_.end() && "an option that the kind does not declare");
  const auto index = static_cast<std::size_t>(it - specs_.begin());
  assert((specs_[index].type == type ||
          (specs_[index].type == OptionType::kChoice && type == OptionType::kText)) &&
         "an option read as another type than it is declared with");
  return values_[index];
}

std::string Options::text(std::string_view name) const { return value_of(name, OptionType::kText); }

std::vector<std::string> Options::text_list(std::string_view name) const {
  std::vector<std::string> list;
  for (const std::string_view element : config::split(value_of(name, OptionType::kTextList), '\n')) {
    list.emplace_back(element);
  }
  return list;
}

bool Options::boolean(std::string_view name) const { return value_of(name, OptionType::kBoolean) == "true"; }

std::int64_t Options::integer(std::string_view name) const {
  return read<std::int64_t>(value_of(name, OptionType::kInteger), config::read_integer);
}

double Options::real(std::string_view name) const {
  return read<double>(value_of(name, OptionType::kReal), config::read_share);
}

std::uint64_t Options::bytes(std::string_view name) const {
  return read<std::uint64_t>(value_of(name, OptionType::kBytes), config::read_bytes);
}

std::uint64_t Options::duration_ns(std::string_view name) const {
  return read<std::uint64_t>(value_of(name, OptionType::kDuration), config::read_duration);
}

}  // namespace kelvin

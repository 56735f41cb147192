// parse_config: a TOML text becomes a Config, or a list of everything that is wrong with it.
//
// Thread contract: pure.
// Invariants:
//   1. Every entry of the text ends up in the Config or in a problem: nothing is skipped silently.
//   2. What parse_config accepts, validate accepts.
#include <algorithm>
#include <new>
#include <utility>

#include "base/format_text.h"
#include "config/check.h"
#include "config/document.h"
#include "config/keys.h"
#include "config/suggest.h"
#include "config/value.h"
#include "kelvin/block.h"
#include "registry.h"

namespace kelvin {
namespace config {
namespace {

constexpr std::array<std::string_view, 5> kSections = {"space", "tier", "policy", "mover", "tenant"};

bool fits(const OptionSpec& spec, const Entry& entry) {
  switch (spec.type) {
    case OptionType::kText:
    case OptionType::kChoice: return entry.form == Form::kText;
    case OptionType::kTextList: return entry.form == Form::kText || entry.form == Form::kTextList;
    case OptionType::kBoolean: return entry.form == Form::kBoolean;
    case OptionType::kInteger: return entry.form == Form::kInteger;
    case OptionType::kReal:
      return entry.form == Form::kReal || entry.form == Form::kInteger ||
             (entry.form == Form::kText && is_share(spec) && entry.text.ends_with('%'));
    case OptionType::kBytes:
    case OptionType::kDuration: return entry.form == Form::kText || entry.form == Form::kInteger;
  }
  return false;
}

std::string form_words(const Entry& entry) {
  switch (entry.form) {
    case Form::kText: return format_text("{} is text", in_quotes(entry.text));
    case Form::kInteger: return format_text("{} is a whole number", entry.text);
    case Form::kReal: return format_text("{} is a number with a fraction", entry.text);
    case Form::kBoolean: return format_text("{} is a truth value", entry.text);
    case Form::kTextList: return "this is a list";
    case Form::kOther: return format_text("this is {}", entry.text);
  }
  return {};
}

std::string needed_words(const OptionSpec& spec) {
  // These two name all their values.
  const bool complete = spec.type == OptionType::kBoolean || spec.type == OptionType::kChoice;
  return complete ? type_words(spec) : format_text("{}, such as {}", type_words(spec), example(spec));
}

// Adds what is wrong with an entry of a known key; true if nothing is.
bool check_entry(const OptionSpec& spec, const Entry& entry, std::string_view what, Problems& problems) {
  std::string problem;
  if (!fits(spec, entry)) {
    problem = format_text("{}: {} = {}; needed: {}", what, spec.name, form_words(entry), needed_words(spec));
  } else if (const std::string bad = value_problem(spec, entry.text); !bad.empty()) {
    problem = format_text("{}: {} = {}", what, spec.name, bad);
  }
  if (problem.empty()) return true;
  problems.add(entry.value, std::move(problem));
  return false;
}

template <class S, std::size_t N>
std::vector<std::string_view> names_of(const std::array<Key<S>, N>& keys) {
  std::vector<std::string_view> names;
  names.reserve(N);
  for (const Key<S>& key : keys) names.push_back(key.spec.name);
  return names;
}

// Where a key that is unknown here would be right, empty if nowhere.
std::string home_of(std::string_view name) {
  if (find_key(kSpaceKeys, name) != nullptr) return "[space]";
  if (find_key(kMoverKeys, name) != nullptr) return "[mover]";
  if (find_key(kTierKeys, name) != nullptr) return "[[tier]]";
  if (find_key(kTenantKeys, name) != nullptr) return "[[tenant]]";
  for (const TierFactory* factory : tier_factories()) {
    if (std::ranges::find(factory->options, name, &OptionSpec::name) != factory->options.end()) {
      return format_text("tiers of kind '{}'", factory->kind);
    }
  }
  for (const PolicyFactory* factory : policy_factories()) {
    if (std::ranges::find(factory->options, name, &OptionSpec::name) != factory->options.end()) {
      return format_text("policy '{}'", factory->name);
    }
  }
  return {};
}

void add_unknown(const Entry& entry, std::string_view what, std::span<const std::string_view> known,
                 Problems& problems) {
  const std::string home = home_of(entry.name);
  const std::string hint = home.empty()
                               ? did_you_mean(entry.name, known)
                               : format_text("; it is a key of {}. Known: {}", home, in_a_row(known));
  problems.add(entry.key, format_text("{}: unknown key {}{}", what, in_quotes(entry.name), hint));
}

// Sets the common keys; returns the entries that are none.
template <class S, std::size_t N>
std::vector<const Entry*> read_common(const std::array<Key<S>, N>& keys, const Section& section,
                                      std::string_view what, S& into, Problems& problems) {
  std::vector<const Entry*> others;
  for (const Entry& entry : section.entries) {
    const Key<S>* key = find_key(keys, entry.name);
    if (key == nullptr) {
      others.push_back(&entry);
    } else if (check_entry(key->spec, entry, what, problems)) {
      set_key(*key, entry.text, into);
    }
  }
  return others;
}

// Reads the keys of one kind or policy. `known`: the common keys beside them, for suggestions.
std::vector<Option> read_options(std::span<const OptionSpec> specs, std::span<const Entry* const> entries,
                                 std::vector<std::string_view> known, std::string_view what, Place place,
                                 Problems& problems) {
  for (const OptionSpec& spec : specs) known.push_back(spec.name);
  std::vector<Option> options;
  for (const Entry* entry : entries) {
    const auto spec = std::ranges::find(specs, entry->name, &OptionSpec::name);
    if (spec == specs.end()) {
      add_unknown(*entry, what, known, problems);
    } else {
      check_entry(*spec, *entry, what, problems);
      options.push_back({entry->name, entry->text, entry->value.line, entry->value.column});
    }
  }
  for (const OptionSpec& spec : specs) {
    const bool given = std::ranges::find(options, spec.name, &Option::name) != options.end();
    if (is_required(spec) && !given) problems.add(place, missing(what, spec));
  }
  return options;
}

const Entry* find_entry(const Section& section, std::string_view name) {
  const auto it = std::ranges::find(section.entries, name, &Entry::name);
  return it == section.entries.end() ? nullptr : &*it;
}

Place place_in(const Section& section, std::string_view name) {
  const Entry* entry = find_entry(section, name);
  return entry == nullptr ? section.place : entry->value;
}

TierConfig read_tier(const Section& section, std::size_t index, TierPlaces& places, Problems& problems) {
  places = {section.place, place_in(section, "name"), place_in(section, "kind"),
            place_in(section, "capacity")};
  const Entry* name = find_entry(section, "name");
  const bool named = name != nullptr && name->form == Form::kText;
  const std::string what = tier_words(named ? std::string_view(name->text) : std::string_view(), index);
  TierConfig tier;
  const std::vector<const Entry*> others = read_common(kTierKeys, section, what, tier, problems);
  for (const Key<TierConfig>& key : kTierKeys) {
    const bool may_lack = !is_required(key.spec) || (key.spec.name == "capacity" && adopts_memory(tier.kind));
    if (!may_lack && find_entry(section, key.spec.name) == nullptr)
      problems.add(section.place, missing(what, key.spec));
  }
  if (tier.kind.empty()) return tier;
  if (const TierFactory* factory = known_kind(tier.kind, what, places.kind, problems)) {
    tier.options = read_options(factory->options, others, names_of(kTierKeys), what, section.place, problems);
  }
  return tier;
}

TenantConfig read_tenant(const Section& section, std::size_t index, TenantPlaces& places,
                         Problems& problems) {
  places = {section.place, place_in(section, "name"), place_in(section, "salt"), place_in(section, "share")};
  const Entry* name = find_entry(section, "name");
  const bool named = name != nullptr && name->form == Form::kText;
  const std::string what = tenant_words(named ? std::string_view(name->text) : std::string_view(), index);
  TenantConfig tenant;
  for (const Entry* entry : read_common(kTenantKeys, section, what, tenant, problems)) {
    add_unknown(*entry, what, names_of(kTenantKeys), problems);
  }
  for (const Key<TenantConfig>& key : kTenantKeys) {
    if (find_entry(section, key.spec.name) == nullptr) problems.add(section.place, missing(what, key.spec));
  }
  return tenant;
}

void read_policy(const Section& section, PolicyConfig& policy, Problems& problems) {
  const std::vector<const Entry*> others = read_common(kPolicyKeys, section, "[policy]", policy, problems);
  if (const PolicyFactory* factory = known_policy(policy.name, place_in(section, "name"), problems)) {
    const std::string what = format_text("policy '{}'", policy.name);
    policy.options =
        read_options(factory->options, others, names_of(kPolicyKeys), what, section.place, problems);
  }
}

template <class S, std::size_t N>
void read_plain(const std::array<Key<S>, N>& keys, const Section& section, S& into, Problems& problems) {
  const std::string what = format_text("[{}]", section.name);
  for (const Entry* entry : read_common(keys, section, what, into, problems)) {
    add_unknown(*entry, what, names_of(keys), problems);
  }
}

// Adds what is wrong with a section's name or brackets; true if nothing is.
bool check_section(const Section& section, Problems& problems) {
  std::string problem;
  const bool known = std::ranges::find(kSections, section.name) != kSections.end();
  const bool is_list = section.name == "tier" || section.name == "tenant";
  if (!known && section.shape == Shape::kValue) {
    const std::string home = home_of(section.name);
    const std::string hint =
        home.empty() ? did_you_mean(section.name, kSections) : format_text("; it is a key of {}", home);
    problem = format_text("key {} stands outside of every section{}", in_quotes(section.name), hint);
  } else if (!known) {
    problem =
        format_text("unknown section {}{}", in_quotes(section.name), did_you_mean(section.name, kSections));
  } else if (is_list && section.shape != Shape::kTableList) {
    problem = format_text("'{0}' is a list of tables; write [[{0}]], with two brackets, for each {0}",
                          section.name);
  } else if (!is_list && section.shape != Shape::kTable) {
    problem = format_text("'{0}' is one table; write [{0}], with one bracket, once", section.name);
  }
  if (problem.empty()) return true;
  problems.add(section.place, std::move(problem));
  return false;
}

Config read_config(const Document& document, Problems& problems) {
  Config config;
  std::vector<TierPlaces> places;
  std::vector<TenantPlaces> tenant_places;
  Section policy{.name = "policy", .place = {}, .shape = Shape::kTable, .entries = {}};
  for (const Section& section : document.sections) {
    if (!check_section(section, problems)) continue;
    if (section.name == "space") read_plain(kSpaceKeys, section, config.space, problems);
    if (section.name == "mover") read_plain(kMoverKeys, section, config.mover, problems);
    if (section.name == "policy") policy = section;
    if (section.name == "tenant") {
      const std::size_t index = config.tenants.size();
      config.tenants.push_back(read_tenant(section, index, tenant_places.emplace_back(), problems));
    }
    if (section.name != "tier") continue;
    const std::size_t index = config.tiers.size();
    config.tiers.push_back(read_tier(section, index, places.emplace_back(), problems));
  }
  read_policy(policy, config.policy, problems);
  check_names(config.tiers, places, problems);
  check_tenants(config.tenants, tenant_places, problems);
  // Checks of the whole would only echo what is wrong with its parts.
  if (problems.none()) check_whole(config, places, problems);
  return config;
}

}  // namespace
}  // namespace config

Result<Config> parse_config(std::string_view text, std::string_view name, std::string* why) {
  try {
    config::Problems problems;
    config::Document document;
    Config config;
    if (config::read_document(text, document, problems)) config = config::read_config(document, problems);
    if (problems.none()) return config;
    if (why != nullptr) *why = problems.text(name);
    return Status(Code::kInvalid, "reading a config");
  } catch (const std::bad_alloc&) {
    return Status(Code::kFull, "out of memory while reading a config");
  }
}

}  // namespace kelvin

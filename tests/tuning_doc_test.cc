// docs/tuning.md and the tables of keys say the same: every key is there, with its default, and no other.
//
// Where this fails it prints the rows that belong into the document: paste them.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "config/keys.h"
#include "config/value.h"
#include "kelvin/config.h"
#include "registry.h"

namespace kelvin::config {
namespace {

using Rows = std::map<std::string, std::vector<std::string>>;  // by heading

const std::string kPath = std::string(KELVIN_SOURCE_DIR) + "/docs/tuning.md";

std::string row(const OptionSpec& spec, std::string_view unit) {
  const std::string what = unit.empty() ? type_words(spec) : fmt::format("{} ({})", type_words(spec), unit);
  const std::string fallback = is_required(spec) ? "must be given" : fmt::format("`{}`", example(spec));
  return fmt::format("| `{}` | {} | {} | {} | {} |", spec.name, what, fallback, range_words(spec),
                     spec.reason);
}

template <class S, std::size_t N>
void add_common(Rows& rows, const std::string& heading, const std::array<Key<S>, N>& keys) {
  for (const Key<S>& key : keys) rows[heading].push_back(row(key.spec, key.unit));
}

void add_own(Rows& rows, const std::string& heading, std::span<const OptionSpec> specs) {
  rows[heading];
  for (const OptionSpec& spec : specs) rows[heading].push_back(row(spec, ""));
}

Rows expected() {
  Rows rows;
  add_common(rows, "## `[space]`", kSpaceKeys);
  add_common(rows, "## `[[tier]]`", kTierKeys);
  add_common(rows, "## `[policy]`", kPolicyKeys);
  add_common(rows, "## `[mover]`", kMoverKeys);
  add_common(rows, "## `[[tenant]]`", kTenantKeys);
  for (const TierFactory* factory : tier_factories()) {
    add_own(rows, fmt::format("### `kind = \"{}\"`", factory->kind), factory->options);
  }
  for (const PolicyFactory* factory : policy_factories()) {
    add_own(rows, fmt::format("### `name = \"{}\"`", factory->name), factory->options);
  }
  return rows;
}

std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::string document() { return text_of(kPath); }

// Every table row of a key, and every heading of keys even if it has none.
Rows documented() {
  Rows rows;
  std::istringstream text(document());
  std::string heading;
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with("#")) heading = line;
    if (line.starts_with("## `") || line.starts_with("### `")) rows[heading];
    if (line.starts_with("| `")) rows[heading].push_back(line);
  }
  // A build without a tier knows nothing of its keys.
  for (const char* kind : {"nvme", "hbm"}) {
    if (find_tier_factory(kind) == nullptr) rows.erase(fmt::format("### `kind = \"{}\"`", kind));
  }
  return rows;
}

std::vector<std::string> examples() {
  std::vector<std::string> found;
  std::istringstream text(document());
  bool inside = false;
  for (std::string line; std::getline(text, line);) {
    if (inside && line == "```") inside = false;
    if (inside) found.back() += line + "\n";
    if (line == "```toml") {
      inside = true;
      found.emplace_back();
    }
  }
  return found;
}

TEST(TuningDocument, HasEveryKeyWithItsDefaultRangeAndReasonAndNoOther) {
  const Rows expect = expected();
  const Rows have = documented();
  for (const auto& [heading, rows] : expect) {
    ASSERT_TRUE(have.contains(heading)) << "no heading " << heading;
    EXPECT_EQ(fmt::format("{}", fmt::join(have.at(heading), "\n")), fmt::format("{}", fmt::join(rows, "\n")))
        << "under " << heading << "; the second are right";
  }
  for (const auto& [heading, rows] : have) {
    EXPECT_TRUE(expect.contains(heading)) << "nothing like " << heading << " exists";
  }
}

void expect_good(const std::string& text, const std::string& name) {
  for (const char* kind : {"nvme", "hbm"}) {
    const bool needed = text.find(fmt::format("\"{}\"", kind)) != std::string::npos;
    if (needed && find_tier_factory(kind) == nullptr) return;
  }
  std::string why;
  EXPECT_TRUE(parse_config(text, name, &why).ok()) << why << "\n" << text;
}

TEST(TuningDocument, ShowsExamplesThatAreGoodConfigs) {
  const std::vector<std::string> all = examples();
  ASSERT_GE(all.size(), 2u);
  for (const std::string& text : all) expect_good(text, "docs/tuning.md");
}

TEST(TuningDocument, StandsBesideExamplesThatAreGoodConfigs) {
  std::size_t count = 0;
  for (const auto& file :
       std::filesystem::directory_iterator(std::string(KELVIN_SOURCE_DIR) + "/docs/examples")) {
    if (file.path().extension() != ".toml") continue;
    expect_good(text_of(file.path().string()), file.path().filename().string());
    ++count;
  }
  EXPECT_GE(count, 1u);
}

}  // namespace
}  // namespace kelvin::config

// See tune_search.h.
#include "cli/tune_search.h"

#include <fmt/format.h>

#include <set>

#include "cli/gen_random.h"
#include "cli/sim_config.h"

namespace kelvin::cli {
namespace {

constexpr std::uint64_t kLargestGrid = 100'000;  // larger ones are only ever drawn from
constexpr std::uint64_t kTriesForEach = 100;     // of drawing one that was not there yet

std::string words_of(const std::vector<Dimension>& dimensions, const std::vector<std::string>& values) {
  std::string words;
  for (std::size_t d = 0; d < dimensions.size(); ++d) {
    if (!values[d].empty()) {
      words += fmt::format("{}{} = {}", words.empty() ? "" : ", ", dimensions[d].key, values[d]);
    }
  }
  return words;
}

// On a grid of several tenants' shares some go beyond the whole: that is no mistake of the grid's.
bool shares_fit(const Config& config) {
  constexpr double kRounding = 1e-9;
  double sum = 0;
  for (const TenantConfig& tenant : config.tenants) sum += tenant.share;
  return sum <= 1 + kRounding;
}

class SearchPlanner {
 public:
  SearchPlanner(const Config& config, const std::vector<Dimension>& dimensions, const SearchOptions& options,
                std::string* why)
      : config_(config), dimensions_(dimensions), options_(options), why_(why) {}

  Result<Search> plan() {
    search_.grid = 1;
    for (const Dimension& dimension : dimensions_)
      search_.grid *= static_cast<double>(dimension.values.size());
    search_.random = options_.random;
    if (!search_.random && search_.grid <= static_cast<double>(kLargestGrid)) {
      if (Status status = walk_grid(); !status.ok()) return status;
    }
    search_.random = search_.random || search_.grid > static_cast<double>(kLargestGrid) ||
                     search_.candidates.size() > options_.budget;
    if (search_.random) {
      search_.candidates.clear();
      seen_.clear();
      if (Status status = draw(); !status.ok()) return status;
    }
    if (search_.candidates.empty()) {
      *why_ = "no setting is left: with each the tenants' shares are more than 100% together; lower some";
      return Status(Code::kInvalid, "planning a search");
    }
    return std::move(search_);
  }

 private:
  Status walk_grid() {
    std::vector<std::size_t> at(dimensions_.size());
    std::vector<std::string> values(dimensions_.size());
    for (;;) {
      for (std::size_t d = 0; d < at.size(); ++d) values[d] = dimensions_[d].values[at[d]];
      if (Status status = add(values); !status.ok()) return status;
      std::size_t d = at.size();
      while (d > 0 && ++at[d - 1] == dimensions_[d - 1].values.size()) at[--d] = 0;
      if (d == 0) return {};
    }
  }

  Status draw() {
    Random random(options_.seed);
    std::vector<std::string> values(dimensions_.size());
    const std::uint64_t tries = options_.budget * kTriesForEach;
    for (std::uint64_t i = 0; i < tries && search_.candidates.size() < options_.budget; ++i) {
      for (std::size_t d = 0; d < values.size(); ++d) values[d] = draw(dimensions_[d], random);
      if (Status status = add(values); !status.ok()) return status;
    }
    return {};
  }

  static std::string draw(const Dimension& dimension, Random& random) {
    if (!dimension.range)
      return dimension.values[random.below(static_cast<std::uint32_t>(dimension.values.size()))];
    constexpr double kParts = 9007199254740992.0;  // 2^53
    return value_in(dimension.spec, *dimension.range, static_cast<double>(random.next() >> 11) / kParts);
  }

  // Adds the candidate if none is like it.
  Status add(const std::vector<std::string>& values) {
    Candidate candidate{values, config_};
    std::string why;
    for (std::size_t d = 0; d < dimensions_.size(); ++d) {
      const Status status = set_value(candidate.config, dimensions_[d].key, values[d], &why);
      if (status.code() == Code::kNotFound) {
        candidate.values[d].clear();
        continue;
      }
      if (!status.ok()) return fail(status, values, why);
      auto kept = value_at(candidate.config, dimensions_[d].key, &why);
      if (!kept.ok()) return fail(kept.status(), values, why);
      candidate.values[d] = std::move(*kept);
    }
    if (!shares_fit(candidate.config)) return {};
    if (!seen_.insert(to_toml(candidate.config)).second) return {};
    if (Status status = validate(candidate.config, &why); !status.ok()) return fail(status, values, why);
    if (const auto sim = simulated(candidate.config, &why); !sim.ok()) return fail(sim.status(), values, why);
    search_.candidates.push_back(std::move(candidate));
    return {};
  }

  Status fail(Status status, const std::vector<std::string>& values, const std::string& why) {
    *why_ = fmt::format("with {}: {}", words_of(dimensions_, values), why);
    return status;
  }

  const Config& config_;
  const std::vector<Dimension>& dimensions_;
  const SearchOptions options_;
  std::string* const why_;
  std::set<std::string> seen_;  // as TOML
  Search search_;
};

}  // namespace

Result<Search> plan_search(const Config& config, const std::vector<Dimension>& dimensions,
                           const SearchOptions& options, std::string* why) {
  return SearchPlanner(config, dimensions, options, why).plan();
}

}  // namespace kelvin::cli

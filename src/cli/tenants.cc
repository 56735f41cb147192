// See tenants.h.
#include "cli/tenants.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "kelvin/hash.h"

namespace kelvin::cli {

TenantCounts::TenantCounts(const Config& config) {
  for (const TenantConfig& tenant : config.tenants) {
    ids_.push_back(tenant_id(tenant.salt));
    counts_.push_back({tenant.name});
  }
  if (!ids_.empty()) counts_.push_back({"others"});
}

void TenantCounts::add(std::uint64_t tenant, std::uint64_t referenced, std::uint64_t hit) noexcept {
  if (ids_.empty()) return;
  const auto at = static_cast<std::size_t>(std::ranges::find(ids_, tenant) - ids_.begin());
  counts_[at].referenced += referenced;
  counts_[at].hit += hit;
}

std::vector<TenantCount> TenantCounts::all() const {
  std::vector<TenantCount> all = counts_;
  if (!all.empty() && all.back().referenced == 0) all.pop_back();
  return all;
}

void append_tenants(const std::vector<TenantCount>& tenants, std::string& out) {
  if (tenants.empty()) return;
  const auto to = std::back_inserter(out);
  fmt::format_to(to, "\n{:<16}{:>12}{:>12}{:>8}\n", "tenant", "blocks", "hits", "hit %");
  for (const TenantCount& tenant : tenants) {
    const double share =
        tenant.referenced == 0 ? 0 : static_cast<double>(tenant.hit) / static_cast<double>(tenant.referenced);
    fmt::format_to(to, "{:<16}{:>12}{:>12}{:>8.2f}\n", tenant.name, tenant.referenced, tenant.hit,
                   100 * share);
  }
}

}  // namespace kelvin::cli

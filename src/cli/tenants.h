// What the tenants of a config referenced and found, for reports.
//
// A trace belongs to the tenant whose salt is the trace's: "trace 0 chat.jsonl" for the first one on the
// command line, see trace_salt().
//
// Thread contract: one thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kelvin/config.h"

namespace kelvin::cli {

struct TenantCount {
  std::string name;
  std::uint64_t referenced = 0;  // blocks
  std::uint64_t hit = 0;
};

class TenantCounts {
 public:
  // Empty where the config lists no tenants.
  explicit TenantCounts(const Config& config);

  // `tenant`: see tenant_id().
  void add(std::uint64_t tenant, std::uint64_t referenced, std::uint64_t hit) noexcept;

  // In the order of the config; last, "others", if there were any.
  std::vector<TenantCount> all() const;

 private:
  std::vector<std::uint64_t> ids_;
  std::vector<TenantCount> counts_;  // one more than ids_, if there are any
};

// Rows of a table, one a tenant, under a head of their own; nothing for none.
void append_tenants(const std::vector<TenantCount>& tenants, std::string& out);

}  // namespace kelvin::cli

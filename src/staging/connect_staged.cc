// See connect_staged.h.
#include "staging/connect_staged.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "machine/nodes.h"
#include "registry.h"
#include "staging/staged_link.h"

namespace kelvin {
namespace {

constexpr std::uint64_t kFewestSlots = 2;

// Near the device that one of the two is on, if that is known and this process may have memory there.
std::string nodes_for(const TierInfo& from, const TierInfo& to) {
  const int id = from.near_node >= 0 ? from.near_node : to.near_node;
  const std::vector<MemoryNode> nodes = memory_nodes();
  const MemoryNode* const node = find_node(nodes, id);
  return node != nullptr && node->allowed ? std::to_string(id) : "local";
}

// Nothing is touched beforehand: links register the memory with their devices, which brings it in.
Result<std::unique_ptr<Tier>> open_staging(const SpaceConfig& space, std::uint64_t bytes, std::string nodes,
                                           std::string* why) {
  TierConfig config;
  config.name = "staging";
  config.kind = "dram";
  config.capacity_bytes = std::max(bytes / space.block_bytes, kFewestSlots) * space.block_bytes;
  config.options.push_back({"nodes", std::move(nodes)});
  const TierFactory* dram = find_tier_factory(config.kind);
  const auto options = Options::bind(dram->options, config.options, "staging", why);
  if (!options.ok()) return options.status();
  return dram->open({space, config}, *options, why);
}

}  // namespace

Result<std::unique_ptr<Link>> connect_staged(const LinkContext& context, const SpaceConfig& space,
                                             std::uint64_t bytes, std::string* why) {
  const auto half = [&](const Tier& from, const Tier& to) {
    return connect_tiers({from, to, context.clock, context.single_issuer}, why);
  };
  auto staging = open_staging(space, bytes, nodes_for(context.from.info(), context.to.info()), why);
  if (!staging.ok()) {
    *why = "no host memory to stage what goes from tier '" + context.from.info().name + "' to tier '" +
           context.to.info().name + "': " + *why + "; lower mover.staging";
    return staging.status();
  }
  auto in = half(context.from, **staging);
  if (!in.ok() || *in == nullptr) return in;
  auto out = half(**staging, context.to);
  if (!out.ok() || *out == nullptr) return out;
  return std::unique_ptr<Link>(std::make_unique<StagedLink>(std::move(staging).value(), std::move(in).value(),
                                                            std::move(out).value()));
}

}  // namespace kelvin

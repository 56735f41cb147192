// See placement.h.
#include "tiers/host/placement.h"

#include <algorithm>

#include "base/format_text.h"
#include "machine/id_list.h"

namespace kelvin {
namespace {

Status refuse(std::string* why, std::string text) {
  *why = std::move(text);
  return {Code::kInvalid, "choosing memory nodes"};
}

std::vector<int> ids_of(const std::vector<MemoryNode>& nodes, bool allowed_only) {
  std::vector<int> ids;
  for (const MemoryNode& node : nodes) {
    if (node.allowed || !allowed_only) ids.push_back(node.id);
  }
  return ids;
}

Status check_node(int id, const std::vector<MemoryNode>& nodes, std::string* why) {
  const MemoryNode* const node = find_node(nodes, id);
  if (node == nullptr) {
    return refuse(why,
                  format_text("there is no memory node {}: this machine has {}; `kelvin topo` shows them", id,
                              id_list_text(ids_of(nodes, false))));
  }
  if (node->allowed) return {};
  return refuse(why, format_text("this process may not use memory node {}, only {}: widen its cpuset "
                                 "(cpuset.mems, docker --cpuset-mems), or name another node",
                                 id, id_list_text(ids_of(nodes, true))));
}

}  // namespace

Result<Placement> place(const std::vector<std::string>& wanted, const std::vector<MemoryNode>& nodes,
                        const std::vector<int>& cpus, std::string* why) {
  if (wanted.size() == 1 && wanted[0] == "local") return Placement{local_nodes(nodes, cpus), false};
  if (wanted.size() == 1 && wanted[0] == "interleave") return Placement{local_nodes(nodes, {}), true};
  Placement placement{{}, true};
  for (const std::string& text : wanted) {
    const std::vector<int> ids = read_id_list(text);
    if (ids.empty() || text.find_first_not_of("0123456789,- ") != std::string::npos) {
      return refuse(why,
                    format_text("nodes = \"{}\" is neither \"local\" nor \"interleave\" nor a list of nodes "
                                "such as \"0\" or \"0-1\"",
                                text));
    }
    for (const int id : ids) {
      if (const Status status = check_node(id, nodes, why); !status.ok()) return status;
      if (std::ranges::find(placement.nodes, id) == placement.nodes.end()) placement.nodes.push_back(id);
    }
  }
  if (placement.nodes.empty()) return refuse(why, "nodes is empty: name one, or \"local\"");
  return placement;
}

}  // namespace kelvin

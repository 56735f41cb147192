// See far_memory.h.
#include "tiers/host/far_memory.h"

#include <algorithm>

#include "base/format_text.h"
#include "machine/id_list.h"
#include "tiers/host/placement.h"

namespace kelvin {
namespace {

Status refuse(Code code, std::string* why, std::string text) {
  *why = std::move(text);
  return {code, "choosing far memory"};
}

bool made_of_dax(int node, const std::vector<DaxDevice>& devices) {
  return std::ranges::any_of(devices, [&](const DaxDevice& device) {
    return device.mode == DaxMode::kMemory && device.node == node;
  });
}

std::string names_of(const std::vector<DaxDevice>& devices) {
  std::string names;
  for (const DaxDevice& device : devices) names += (names.empty() ? "" : ", ") + device.path();
  return names.empty() ? "none" : names;
}

Result<FarMemory> find_any(const std::vector<MemoryNode>& nodes, const std::vector<DaxDevice>& devices,
                           std::string* why) {
  FarMemory far;
  far.found = true;
  std::vector<int> others;
  for (const MemoryNode& node : nodes) {
    if (!node.cpus.empty() || !node.allowed) continue;
    (made_of_dax(node.id, devices) ? far.nodes : others).push_back(node.id);
  }
  if (far.nodes.empty()) far.nodes = others;
  if (!far.nodes.empty()) return far;
  std::vector<DaxDevice> persistent;
  for (const DaxDevice& device : devices) {
    if (device.mode == DaxMode::kDevice) (device.persistent ? persistent : far.devices).push_back(device);
  }
  if (!far.devices.empty()) return far;
  if (!persistent.empty()) {
    return refuse(
        Code::kNotFound, why,
        format_text("the only far memory is persistent ({}), and may hold somebody's data: to let it be "
                    "overwritten name it, device = \"{}\"; or make it a memory node (`daxctl "
                    "reconfigure-device -m system-ram {}`)",
                    names_of(persistent), persistent[0].path(), persistent[0].name));
  }
  return refuse(
      Code::kNotFound, why,
      "device = \"auto\" found no far memory: there is neither a memory node without CPUs nor a DAX "
      "device (`kelvin topo` shows what there is); leave this tier out, or name a node, such as "
      "device = \"node0\"");
}

Status add_device(const std::string& text, const std::vector<DaxDevice>& devices, FarMemory& far,
                  std::string* why) {
  const auto found = std::ranges::find_if(
      devices, [&](const DaxDevice& device) { return text == device.path() || text == device.name; });
  if (found == devices.end()) {
    return refuse(
        Code::kInvalid, why,
        format_text("there is no DAX device {}: there are {} (`daxctl list`)", text, names_of(devices)));
  }
  if (found->mode == DaxMode::kMemory) {
    return refuse(
        Code::kInvalid, why,
        format_text("{} is in mode system-ram: its memory is that of node {}. Set device = \"node{}\", "
                    "or take it back with `daxctl reconfigure-device -m devdax --force {}`",
                    found->path(), found->node, found->node, found->name));
  }
  if (found->mode == DaxMode::kNone) {
    return refuse(Code::kInvalid, why,
                  format_text("no driver serves {}: enable it (`daxctl enable-device {}`)", found->path(),
                              found->name));
  }
  far.devices.push_back(*found);
  return {};
}

Status add_nodes(const std::string& text, const std::vector<MemoryNode>& nodes, FarMemory& far,
                 std::string* why) {
  auto placement = place({text.substr(4)}, nodes, {}, why);
  if (!placement.ok()) return placement.status();
  far.nodes.insert(far.nodes.end(), placement->nodes.begin(), placement->nodes.end());
  return {};
}

}  // namespace

Result<FarMemory> find_far_memory(const std::vector<std::string>& wanted,
                                  const std::vector<MemoryNode>& nodes, const std::vector<DaxDevice>& devices,
                                  std::string* why) {
  if (wanted.size() == 1 && wanted[0] == "auto") return find_any(nodes, devices, why);
  FarMemory far;
  for (const std::string& text : wanted) {
    const bool node = text.starts_with("node") && text.size() > 4;
    if (!node && !text.starts_with("/dev/dax") && !text.starts_with("dax")) {
      return refuse(
          Code::kInvalid, why,
          format_text("device = \"{}\" is neither \"auto\" nor a memory node (\"node2\") nor a DAX device "
                      "(\"/dev/dax0.0\")",
                      text));
    }
    const Status status = node ? add_nodes(text, nodes, far, why) : add_device(text, devices, far, why);
    if (!status.ok()) return status;
  }
  if (far.nodes.empty() == far.devices.empty()) {
    return refuse(Code::kInvalid, why, "device names both nodes and DAX devices, or nothing: make two tiers");
  }
  return far;
}

}  // namespace kelvin

// See dax.h.
#include "machine/dax.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace kelvin {
namespace {

// 0 or -1 where it cannot be read.
template <class T>
T read_number(const std::filesystem::path& path, T otherwise) {
  std::ifstream in(path);
  T number{};
  return in >> number ? number : otherwise;
}

DaxMode mode_of(const std::filesystem::path& folder) {
  std::error_code error;
  const auto driver = std::filesystem::read_symlink(folder / "driver", error);
  if (error) return DaxMode::kNone;
  return driver.filename() == "kmem" ? DaxMode::kMemory : DaxMode::kDevice;
}

}  // namespace

std::vector<DaxDevice> dax_devices(const std::string& root) {
  std::vector<DaxDevice> devices;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(root + "/sys/bus/dax/devices", error)) {
    DaxDevice device;
    device.name = entry.path().filename().string();
    device.bytes = read_number<std::uint64_t>(entry.path() / "size", 0);
    device.align =
        std::max<std::uint64_t>(read_number<std::uint64_t>(entry.path() / "align", 2u << 20), 4096);
    device.node = read_number(entry.path() / "target_node", -1);
    device.mode = mode_of(entry.path());
    // Persistent memory hangs under its own bus; CXL memory that forgets does not.
    const auto real = std::filesystem::canonical(entry.path(), error);
    device.persistent = !error && real.string().find("/ndbus") != std::string::npos;
    if (device.bytes != 0) devices.push_back(std::move(device));
  }
  std::ranges::sort(devices, {}, &DaxDevice::name);
  return devices;
}

}  // namespace kelvin

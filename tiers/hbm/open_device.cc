// The devices of this process by name: see device.h.
#include <charconv>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "base/format_text.h"
#include "base/thread_annotations.h"
#include "tiers/hbm/device.h"
#include "tiers/hbm/emulated_device.h"
#if KELVIN_HAVE_CUDA
#include "tiers/hbm/cuda/cuda.h"
#endif

namespace kelvin::hbm {
namespace {

constexpr std::int32_t kMostDevices = 1024;

struct Name {
  std::string_view kind;
  std::int32_t ordinal = -1;  // negative: none that can be
};

Name take_apart(std::string_view name) noexcept {
  const std::size_t colon = name.find(':');
  if (colon == std::string_view::npos) return {name, 0};
  const std::string_view digits = name.substr(colon + 1);
  std::int32_t ordinal = -1;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), ordinal);
  const bool whole = read.ec == std::errc() && read.ptr == digits.data() + digits.size();
  return {name.substr(0, colon), whole && ordinal < kMostDevices ? ordinal : -1};
}

Result<std::unique_ptr<Device>> make_device(const Name& name, std::string* why) {
  if (name.kind == "emulated") return std::unique_ptr<Device>(std::make_unique<EmulatedDevice>(name.ordinal));
#if KELVIN_HAVE_CUDA
  return open_cuda(name.ordinal, why);
#else
  *why = "this build has no CUDA devices: build it with KELVIN_CUDA=ON, or use device = \"emulated\"";
  return Status(Code::kUnsupported, "opening a device");
#endif
}

struct Opened {
  Mutex mu;
  std::map<std::string, std::unique_ptr<Device>> devices KELVIN_GUARDED_BY(mu);
};

// Never destroyed: spaces may end later than anything of ours.
Opened& opened() {
  static auto* const all = new Opened;
  return *all;
}

}  // namespace

Result<Device*> open_device(const std::string& name, std::string* why) {
  const Name parts = take_apart(name);
  if ((parts.kind != "cuda" && parts.kind != "emulated") || parts.ordinal < 0) {
    *why = format_text(
        "'{}' names no device: give \"cuda:0\" (the first GPU; \"cuda\" is short for it) or \"emulated:0\"",
        name);
    return Status(Code::kInvalid, "opening a device");
  }
  try {
    Opened& all = opened();
    const MutexLock lock(all.mu);
    std::unique_ptr<Device>& device = all.devices[format_text("{}:{}", parts.kind, parts.ordinal)];
    if (device == nullptr) {
      auto made = make_device(parts, why);
      if (!made.ok()) return made.status();
      device = std::move(*made);
    }
    return device.get();
  } catch (const std::exception&) {
    *why = "no memory or no thread for device '" + name + "'";
    return Status(Code::kFull, "opening a device");
  }
}

}  // namespace kelvin::hbm

// See hbm_settings.h.
#include "tiers/hbm/hbm_settings.h"

namespace kelvin::hbm {
namespace {

std::optional<Way> way_of(const std::string& word) noexcept {
  if (word == "plain") return Way::kPlain;
  if (word == "batch") return Way::kBatch;
  if (word == "kernel") return Way::kKernel;
  return std::nullopt;
}

SumPlace place_of(const std::string& word) noexcept {
  if (word == "device") return SumPlace::kDevice;
  return word == "host" ? SumPlace::kHost : SumPlace::kMeasured;
}

Gds gds_of(const std::string& word) noexcept {
  if (word == "on") return Gds::kOn;
  return word == "off" ? Gds::kOff : Gds::kAuto;
}

}  // namespace

HbmSettings read_settings(const Options& options) {
  HbmSettings settings;
  settings.device = options.text("device");
  settings.segments = static_cast<std::uint32_t>(options.integer("segments"));
  settings.segments_apart = options.text("order") == "segment";
  settings.shared = options.boolean("shared");
  settings.way = way_of(options.text("copy"));
  settings.sums = place_of(options.text("checksum"));
  settings.queues = static_cast<std::uint32_t>(options.integer("streams"));
  settings.depth = static_cast<std::uint32_t>(options.integer("depth"));
  settings.pin_host = options.boolean("pin_host");
  settings.gds = gds_of(options.text("gds"));
  return settings;
}

}  // namespace kelvin::hbm

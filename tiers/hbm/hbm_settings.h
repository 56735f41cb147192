// What the config says of an hbm tier, as its parts need it.
//
// Thread contract: plain values.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "kelvin/plugin.h"
#include "tiers/hbm/device.h"

namespace kelvin::hbm {

enum class SumPlace : std::uint8_t { kMeasured, kDevice, kHost };
enum class Gds : std::uint8_t { kAuto, kOn, kOff };  // GPUDirect Storage

struct HbmSettings {
  std::string device = "cuda:0";
  std::uint32_t segments = 1;
  bool segments_apart = false;  // all blocks' first segments, then all their second ones, ...
  bool shared = false;
  std::optional<Way> way = std::nullopt;  // none: as calibrated
  SumPlace sums = SumPlace::kMeasured;
  std::uint32_t queues = 2;  // of each link
  std::uint32_t depth = 64;  // copies of each link at once
  bool pin_host = true;
  Gds gds = Gds::kAuto;
};

// The keys of the kind "hbm".
inline constexpr std::array kHbmOptions = {
    OptionSpec{.name = "device",
               .fallback = "cuda:0",
               .reason = "cuda:0 is the first GPU; emulated:0 plays one in host memory, for tests"},
    OptionSpec{.name = "segments",
               .type = OptionType::kInteger,
               .fallback = "1",
               .reason = "pieces that a block consists of (layers times two, where K and V lie apart); 1 = a "
                         "block is one run",
               .min = 1,
               .max = kMaxPieces},
    OptionSpec{.name = "order",
               .type = OptionType::kChoice,
               .fallback = "block",
               .reason = "of segments in memory: block keeps those of one block together; segment puts the "
                         "first ones of all "
                         "blocks before all second ones, as paged attention reads them",
               .choices = "block|segment"},
    OptionSpec{.name = "shared",
               .type = OptionType::kBoolean,
               .fallback = "false",
               .reason = "memory that other processes can map, by a file descriptor in TierInfo"},
    OptionSpec{.name = "copy",
               .type = OptionType::kChoice,
               .fallback = "auto",
               .reason = "how pieces are copied: auto takes what was the fastest on this device when it was "
                         "opened, for their "
                         "size and number",
               .choices = "auto|plain|batch|kernel"},
    OptionSpec{.name = "checksum",
               .type = OptionType::kChoice,
               .fallback = "auto",
               .reason = "where checksums of what leaves the device are made: auto takes the cheaper place, "
                         "as measured when "
                         "it was opened",
               .choices = "auto|device|host"},
    OptionSpec{
        .name = "streams",
        .type = OptionType::kInteger,
        .fallback = "2",
        .reason = "private streams of each link: with two the next batch is put while one is carried out",
        .min = 1,
        .max = 8},
    OptionSpec{.name = "depth",
               .type = OptionType::kInteger,
               .fallback = "64",
               .reason = "copies that each link has at once",
               .min = 1,
               .max = 4096},
    OptionSpec{.name = "pin_host",
               .type = OptionType::kBoolean,
               .fallback = "true",
               .reason = "pin the memory of host tiers in the background, so that the device copies from and "
                         "to it directly; "
                         "what is not pinned goes through a small buffer"},
    OptionSpec{.name = "gds",
               .type = OptionType::kChoice,
               .fallback = "auto",
               .reason = "GPUDirect Storage: drives write blocks straight into the GPU's memory. auto: where "
                         "cuFile is found and does so without host memory; on: that, its compatibility mode, "
                         "or an error; off: never",
               .choices = "auto|on|off"},
};

HbmSettings read_settings(const Options& options);

}  // namespace kelvin::hbm

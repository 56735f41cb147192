// Volume: one medium of a tier, with its superblocks and its slot table.
//
// Thread contract: open and the destructor: one thread; else as SlotTable and Medium.
// Invariants:
//   1. A medium that holds anything but zeros or a format of ours is never written.
//   2. One that holds blocks of another layout, size or version is never written either: it is refused.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "kelvin/hash.h"
#include "kelvin/status.h"
#include "tiers/nvme/format.h"
#include "tiers/nvme/medium.h"
#include "tiers/nvme/slot_table.h"
#include "tiers/nvme/volume_health.h"

namespace kelvin::nvme {

struct VolumeConfig {
  Layout layout;
  std::string model;               // for messages, as is
  std::uint32_t block_tokens = 0;  // this
  Geometry geometry;
  Uuid set{};  // of a format that is made
  std::uint32_t member = 0;
  std::uint32_t members = 1;
};

// Another one every time: of a format, or of a set that is made.
Uuid random_uuid();

// What a medium holds, as far as a tier of this config is concerned.
enum class Content : std::uint8_t { kNothing, kBlocks };

// The newest good superblock of a medium, for tools as well. kNotFound: it is blank. Else, where there is
// none: kInvalid (somebody else's, or another version's), kCorrupt (both copies damaged), or the drive's
// error.
Status read_superblock(Medium& medium, Superblock* best, std::string* why);

// kInvalid: what lies there is not for this config; `why` says what to do.
Result<Content> examine(Medium& medium, const VolumeConfig& config, std::string* why);

class Volume {
 public:
  // Precondition: `content` is what examine said of this medium and config, and the medium has room for the
  // geometry. kNothing: a format is made; the set of a volume made is config.set.
  static Result<std::unique_ptr<Volume>> open(std::unique_ptr<Medium> medium, const VolumeConfig& config,
                                              Content content, std::string* why);
  // Opens what is there, for tools: nothing is written until `close` is asked for.
  static Result<std::unique_ptr<Volume>> inspect(std::unique_ptr<Medium> medium, std::string* why);

  // Writes what of the slot table is not on the medium yet, and that it was closed in order.
  ~Volume();
  Volume(const Volume&) = delete;
  Volume& operator=(const Volume&) = delete;

  Medium& medium() const noexcept { return *medium_; }
  const Superblock& superblock() const noexcept { return superblock_; }
  const Geometry& geometry() const noexcept { return geometry_; }
  SlotTable* table() const noexcept { return table_.get(); }         // null: a scratch medium
  const SlotTable::Found& found() const noexcept { return found_; }  // when it was opened
  VolumeHealth& health() noexcept { return health_; }

  // Says that the bytes of these slots, by rising numbers, are not needed any more: after their records are
  // gone from the medium, for good. kBusy: records of theirs are being written just now; nothing was
  // discarded. Precondition: they hold nothing, and nothing is written to them until it returns.
  Status discard(std::span<const std::uint32_t> slots) noexcept;

  // Writes all dirty pages that nobody else is writing. The first failure ends it.
  Status write_table() noexcept;
  Status close() noexcept;  // write_table, then the superblocks; once

 private:
  Volume(std::unique_ptr<Medium> medium, const Superblock& superblock) noexcept;
  Status load(std::string* why);
  Status format(std::string* why);
  Status write_superblocks(bool clean) noexcept;
  Status write_page(std::uint32_t page) noexcept;

  // Constant after open.
  const std::unique_ptr<Medium> medium_;
  Superblock superblock_;  // but for epoch and flags, which open and close change
  const Geometry geometry_;
  std::unique_ptr<SlotTable> table_;
  SlotTable::Found found_;
  bool in_use_ = false;  // opened for blocks, and not closed yet
  VolumeHealth health_;
};

}  // namespace kelvin::nvme

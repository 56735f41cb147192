// Slots of an nvme tier are discarded: their records go first, and a loss of power at any moment leaves no
// record of bytes that are gone, and no block wrong.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <map>
#include <set>
#include <thread>

#include "checksum/crc32c.h"
#include "nvme_fixture.h"
#include "ram_drive.h"

namespace kelvin::nvme {
namespace {

constexpr std::uint64_t kBlock = 4 * kKiB;
constexpr std::uint32_t kSlots = 150;  // three pages of records

void fill(std::byte* at, const BlockKey& key) {
  std::mt19937_64 random(key.hi * 1'000'003 + key.lo);
  for (std::uint64_t i = 0; i < kBlock; i += sizeof(std::uint64_t)) {
    const std::uint64_t word = random();
    std::memcpy(at + i, &word, sizeof word);
  }
}

// One life of a tier on drives in memory.
class Life {
 public:
  explicit Life(std::vector<std::unique_ptr<RamDrive>> drives, bool discard = true)
      : memory_(kSlots * static_cast<std::uint32_t>(drives.size()), kBlock) {
    std::string why;
    std::vector<std::unique_ptr<Volume>> volumes;
    const VolumeConfig config = volume_config(kBlock, kSlots);
    for (auto& drive : drives) {
      drives_.push_back(drive.get());
      const auto content = examine(*drive, config, &why);
      EXPECT_TRUE(content.ok()) << why;
      auto volume = Volume::open(std::move(drive), config, *content, &why);
      EXPECT_TRUE(volume.ok()) << why;
      volumes.push_back(std::move(volume).value());
    }
    LinkSettings links{.depth = 8, .request_bytes = 4096};
    links.discard = discard;
    tier_ = std::make_unique<NvmeTier>("nvme", std::move(volumes), links);
    writer_ = open_link(memory_, *tier_);
    reader_ = open_link(*tier_, memory_);
  }

  std::uint32_t slots() const { return tier_->info().slots; }
  RamDrive& drive(std::size_t i = 0) { return *drives_[i]; }
  Volume& volume() { return tier_->volume(0); }
  Discarder* discarder() const { return tier_->info().discarder; }

  bool write(Slot slot, const BlockKey& key) {
    tier_->info().ledger->forget({&slot, 1});
    fill(memory_.address(slot, 0).pointer, key);
    Copy copy;
    copy.from = copy.to = slot;
    copy.key = key;
    return run(*writer_, copy).status.ok();
  }
  // What is done with a slot that goes free for good.
  void discard(std::span<const Slot> slots) {
    tier_->info().ledger->forget(slots);
    ASSERT_TRUE(discarder()->begin(slots));
    while (!discarder()->over()) std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
  std::vector<Remembered> recall() const {
    std::vector<Remembered> all(slots());
    std::uint32_t next = 0;
    all.resize(tier_->info().ledger->recall(next, all));
    return all;
  }
  enum class Found { kRight, kMissed, kWrong };
  Found load(const Remembered& entry) {
    Copy copy;
    copy.from = copy.to = entry.slot;
    const Completion done = run(*reader_, copy);
    if (!done.status.ok() || done.checksum != entry.checksum) return Found::kMissed;
    std::vector<std::byte> expected(kBlock);
    fill(expected.data(), entry.key);
    const bool right = std::memcmp(memory_.address(entry.slot, 0).pointer, expected.data(), kBlock) == 0;
    return right ? Found::kRight : Found::kWrong;
  }

 private:
  static Completion run(Link& link, const Copy& copy) {
    EXPECT_EQ(link.submit({&copy, 1}), 1u);
    Completion done;
    while (link.poll({&done, 1}) == 0) {
    }
    return done;
  }

  std::vector<RamDrive*> drives_;
  AlignedTier memory_;
  std::unique_ptr<NvmeTier> tier_;
  std::unique_ptr<Link> writer_;
  std::unique_ptr<Link> reader_;
};

std::vector<std::unique_ptr<RamDrive>> drives(std::uint64_t seed, std::vector<DriveImage> images) {
  std::vector<std::unique_ptr<RamDrive>> all;
  all.reserve(images.size());
  const std::uint64_t bytes = volume_config(kBlock, kSlots).geometry.bytes();
  for (DriveImage& image : images) all.push_back(std::make_unique<RamDrive>(bytes, seed++, std::move(image)));
  return all;
}

TEST(NvmeDiscard, ThousandsOfPowerCutsLeaveNoRecordOfWhatWasDiscardedAndNoBlockWrong) {
  constexpr std::uint64_t kCrashes = 2'000;
  std::mt19937_64 random(1);
  std::uint64_t version = 0;
  std::uint64_t discarded = 0;
  std::map<Life::Found, std::uint64_t> found;
  std::set<std::uint32_t> gone;  // slots discarded since they were last written
  std::vector<DriveImage> images(1);
  for (std::uint64_t crash = 0; crash < kCrashes; ++crash) {
    Life life(drives(random(), std::move(images)));
    for (const Remembered& entry : life.recall()) {
      EXPECT_FALSE(gone.contains(entry.slot.value)) << "crash " << crash << ", slot " << entry.slot.value;
      const Life::Found result = life.load(entry);
      ASSERT_NE(result, Life::Found::kWrong) << "crash " << crash;
      ++found[result];
    }
    for (std::uint64_t steps = random() % 40; steps > 0; --steps) {
      const auto first = static_cast<std::uint32_t>(random() % kSlots);
      if (random() % 4 != 0) {
        ASSERT_TRUE(life.write(Slot(first), {random() % 100, ++version}));
        gone.erase(first);
        continue;
      }
      std::vector<Slot> run;
      for (std::uint32_t s = first; s < std::min<std::uint64_t>(kSlots, first + 1 + random() % 20); ++s) {
        run.emplace_back(s);
        gone.insert(s);
      }
      life.discard(run);
      discarded += run.size();
    }
    if (random() % 4 == 0) {
      ASSERT_TRUE(life.volume().medium().flush().ok());
    }
    constexpr std::array kKept = {0.0, 0.1, 0.5, 0.9, 1.0};
    images.clear();
    images.push_back(life.drive().power_cut(kKept[random() % kKept.size()]));
  }
  std::printf("%llu crashes: %llu slots discarded; of blocks found %llu right, %llu missed, 0 wrong\n",
              static_cast<unsigned long long>(kCrashes), static_cast<unsigned long long>(discarded),
              static_cast<unsigned long long>(found[Life::Found::kRight]),
              static_cast<unsigned long long>(found[Life::Found::kMissed]));
  EXPECT_GT(found[Life::Found::kRight], kCrashes);
}

TEST(NvmeDiscard, ARecordIsGoneFromTheMediumBeforeTheBytesAre) {
  Life life(drives(1, std::vector<DriveImage>(1)));
  for (std::uint32_t s = 0; s < kSlots; ++s) ASSERT_TRUE(life.write(Slot(s), {s, 1}));
  ASSERT_TRUE(life.volume().medium().flush().ok());
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  const std::uint64_t data = life.volume().geometry().data_offset();
  life.drive().fault = [&](bool write, std::uint64_t offset, std::uint64_t count) {
    if (write && offset < data) {
      EXPECT_EQ(bytes, 0u) << "a record is written after its bytes went";
      ++records;
    }
    if (write && offset >= data) bytes += count;
    return 0;
  };
  const std::vector<Slot> some = {Slot(3), Slot(4), Slot(5), Slot(70), Slot(149)};
  life.discard(some);
  life.drive().fault = {};
  EXPECT_EQ(records, 3u) << "one page each";
  EXPECT_EQ(bytes, some.size() * kBlock);
}

TEST(NvmeDiscard, WhatIsWrittenAfterwardsStays) {
  Life life(drives(1, std::vector<DriveImage>(1)));
  for (std::uint64_t round = 1; round <= 20; ++round) {
    std::vector<Slot> all;
    for (std::uint32_t s = 0; s < kSlots; ++s) all.emplace_back(s);
    life.discard(all);
    EXPECT_TRUE(life.recall().empty());
    for (const Slot slot : all) ASSERT_TRUE(life.write(slot, {slot.value, round}));
    for (const Remembered& entry : life.recall()) ASSERT_EQ(life.load(entry), Life::Found::kRight);
  }
}

TEST(NvmeDiscard, OfAStripeEachDeviceHearsOfItsOwnSlots) {
  Life life(drives(1, std::vector<DriveImage>(3)));
  for (std::uint32_t s = 0; s < life.slots(); ++s) ASSERT_TRUE(life.write(Slot(s), {s, 1}));
  std::array<std::uint64_t, 3> bytes{};
  for (std::size_t i = 0; i < 3; ++i) {
    life.drive(i).fault = [&bytes, i](bool write, std::uint64_t offset, std::uint64_t count) {
      if (write && offset >= volume_config(kBlock, kSlots).geometry.data_offset()) bytes[i] += count;
      return 0;
    };
  }
  std::vector<Slot> run;
  for (std::uint32_t s = 30; s < 60; ++s) run.emplace_back(s);
  life.discard(run);
  for (const std::uint64_t of : bytes) EXPECT_EQ(of, 10 * kBlock);
  std::uint32_t right = 0;
  for (const Remembered& entry : life.recall()) {
    EXPECT_TRUE(entry.slot.value < 30 || entry.slot.value >= 60);
    if (life.load(entry) == Life::Found::kRight) ++right;
  }
  EXPECT_EQ(right, life.slots() - 30);
}

TEST(NvmeDiscard, ADeviceThatFailsAtItIsNotAskedAgain) {
  Life life(drives(1, std::vector<DriveImage>(1)));
  int asked = 0;
  life.drive().fault = [&](bool write, std::uint64_t offset, std::uint64_t) {
    const bool discards = write && offset >= life.volume().geometry().data_offset();
    if (discards) ++asked;
    return discards ? -EIO : 0;
  };
  const Slot slot(5);
  life.discard({&slot, 1});
  EXPECT_EQ(asked, 1);
  EXPECT_FALSE(life.discarder()->begin({&slot, 1}));
  EXPECT_TRUE(life.discarder()->over());
  life.drive().fault = {};
  EXPECT_TRUE(life.write(slot, {5, 5})) << "it works as well without";
}

TEST(NvmeDiscard, WhereRecordsCannotBeWrittenTheBytesStay) {
  Life life(drives(1, std::vector<DriveImage>(1)));
  const Slot slot(5);
  ASSERT_TRUE(life.write(slot, {5, 5}));
  std::uint64_t bytes = 0;
  life.drive().fault = [&](bool write, std::uint64_t offset, std::uint64_t count) {
    if (write && offset >= life.volume().geometry().data_offset()) bytes += count;
    return write && offset < life.volume().geometry().data_offset() ? -EIO : 0;
  };
  life.discard({&slot, 1});
  life.drive().fault = {};
  EXPECT_EQ(bytes, 0u);
}

TEST(NvmeDiscard, IsNothingForFilesNorWhereItIsOff) {
  Life off(drives(1, std::vector<DriveImage>(1)), false);
  EXPECT_EQ(off.discarder(), nullptr);
  const ScratchDirectory directory;
  const auto file = open_tier(directory.file("blocks"), kBlock, kSlots);
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(file->info().discarder, nullptr);
  EXPECT_EQ(file->volume(0).medium().discard({}).code(), Code::kUnsupported);
}

}  // namespace
}  // namespace kelvin::nvme

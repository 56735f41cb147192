// A small tier on a drive whose power fails: thousands of seeded crashes, and every block that is found again
// is right. Flipped bits, anywhere on the drive, likewise.
#include <gtest/gtest.h>

#include <cstdio>
#include <map>

#include "checksum/crc32c.h"
#include "nvme_fixture.h"
#include "ram_drive.h"

namespace kelvin::nvme {
namespace {

constexpr std::uint64_t kBlock = 4 * kKiB;
constexpr std::uint32_t kSlots = 80;  // two pages of records

// The bytes of the `version`th block with this key: real ones are the same every time, but a test sees more
// when they are not.
void fill(std::byte* at, std::uint64_t key, std::uint64_t version) {
  std::mt19937_64 random(key * 1'000'003 + version);
  for (std::uint64_t i = 0; i < kBlock; i += sizeof(std::uint64_t)) {
    const std::uint64_t word = random();
    std::memcpy(at + i, &word, sizeof word);
  }
}

// One life of a tier on a drive, from opening to the moment the power goes.
class Life {
 public:
  Life(std::unique_ptr<RamDrive> drive, std::uint64_t seed)
      : drive_(*drive), random_(seed), memory_(kSlots, kBlock) {
    std::string why;
    const VolumeConfig config = volume_config(kBlock, kSlots);
    const auto content = examine(*drive, config, &why);
    EXPECT_TRUE(content.ok()) << why;
    if (!content.ok()) return;
    auto volume = Volume::open(std::move(drive), config, *content, &why);
    EXPECT_TRUE(volume.ok()) << why;
    if (!volume.ok()) return;
    std::vector<std::unique_ptr<Volume>> volumes;
    volumes.push_back(std::move(volume).value());
    tier_ = std::make_unique<NvmeTier>("nvme", std::move(volumes),
                                       LinkSettings{.depth = 8, .request_bytes = 4096});
    writer_ = open_link(memory_, *tier_);
    reader_ = open_link(*tier_, memory_);
  }

  bool opened() const { return tier_ != nullptr; }

  std::vector<Remembered> recall() const {
    std::vector<Remembered> all(kSlots);
    std::uint32_t next = 0;
    all.resize(tier_->info().ledger->recall(next, all));
    return all;
  }

  // The bytes of a slot if their checksum is right; else null.
  const std::byte* load(const Remembered& entry) {
    Copy copy;
    copy.from = copy.to = entry.slot;
    EXPECT_EQ(reader_->submit({&copy, 1}), 1u);
    const Completion done = next(*reader_);
    if (!done.status.ok() || done.checksum != entry.checksum) return nullptr;
    return memory_.address(entry.slot, 0).pointer;
  }

  // Writes `count` blocks of random keys to slots, as a mover would: a slot is forgotten before it is
  // written. Ends with some of them under way.
  void work(std::size_t count, std::map<std::uint64_t, std::uint64_t>* versions) {
    std::map<std::uint64_t, std::uint32_t> under_way;  // by tag: the slot
    std::uint64_t tag = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const auto slot = static_cast<std::uint32_t>(random_() % kSlots);
      if (std::ranges::any_of(under_way, [&](const auto& u) { return u.second == slot; })) continue;
      const Slot to(slot);
      tier_->info().ledger->forget({&to, 1});
      const std::uint64_t key = random_() % (2 * kSlots);
      fill(memory_.address(to, 0).pointer, key, ++(*versions)[key]);
      Copy copy;
      copy.tag = ++tag;
      copy.from = copy.to = to;
      copy.key = {key, (*versions)[key]};
      if (random_() % 2 == 0) {
        copy.checksum = false;
        copy.known_checksum = crc32c(memory_.address(to, 0).pointer, kBlock);
      }
      if (writer_->submit({&copy, 1}) == 1) under_way[tag] = slot;
      while (under_way.size() > 6 || (!under_way.empty() && random_() % 3 == 0)) {
        const Completion done = next(*writer_);
        EXPECT_TRUE(done.status.ok()) << done.status.message();
        under_way.erase(done.tag);
        ++acknowledged_;
      }
    }
  }
  std::uint64_t acknowledged() const { return acknowledged_; }

  // What the drive has after a power cut at this moment.
  DriveImage power_cut(double kept) { return drive_.power_cut(kept); }

  Volume& volume() { return tier_->volume(0); }

 private:
  static Completion next(Link& link) {
    Completion done;
    while (link.poll({&done, 1}) == 0) {
    }
    return done;
  }

  RamDrive& drive_;
  std::mt19937_64 random_;
  AlignedTier memory_;
  std::unique_ptr<NvmeTier> tier_;
  std::unique_ptr<Link> writer_;
  std::unique_ptr<Link> reader_;
  std::uint64_t acknowledged_ = 0;
};

struct Counts {
  std::uint64_t crashes = 0, acknowledged = 0, found = 0, right = 0, missed = 0, wrong = 0;
};

// Every block that is found is read: right, or a miss by its checksum.
void check(Life& life, Counts* counts) {
  std::vector<std::byte> expected(kBlock);
  for (const Remembered& entry : life.recall()) {
    ++counts->found;
    const std::byte* bytes = life.load(entry);
    if (bytes == nullptr) {
      ++counts->missed;
      continue;
    }
    fill(expected.data(), entry.key.hi, entry.key.lo);
    const bool right = std::memcmp(bytes, expected.data(), kBlock) == 0;
    ++(right ? counts->right : counts->wrong);
  }
}

TEST(NvmePowerLoss, TenThousandCrashesLeaveNoBlockWrong) {
  constexpr std::uint64_t kSeeds = 500;
  constexpr std::uint64_t kLives = 20;
  Counts counts;
  const std::uint64_t bytes = volume_config(kBlock, kSlots).geometry.bytes();
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    std::mt19937_64 random(seed);
    auto drive = std::make_unique<RamDrive>(bytes, seed);
    std::map<std::uint64_t, std::uint64_t> versions;
    for (std::uint64_t n = 0; n < kLives; ++n) {
      Life life(std::move(drive), random());
      ASSERT_TRUE(life.opened()) << "seed " << seed << ", life " << n;
      check(life, &counts);
      ASSERT_EQ(counts.wrong, 0u) << "seed " << seed << ", life " << n;
      life.work(random() % 60, &versions);
      counts.acknowledged += life.acknowledged();
      if (random() % 4 == 0) {
        ASSERT_TRUE(life.volume().medium().flush().ok());
      }
      constexpr std::array kKept = {0.0, 0.1, 0.5, 0.9, 1.0};
      drive = std::make_unique<RamDrive>(bytes, random(), life.power_cut(kKept[random() % kKept.size()]));
      ++counts.crashes;
    }
  }
  std::printf(
      "%llu crashes: %llu blocks acknowledged, %llu found again in all, %llu right, %llu missed by their "
      "checksum, "
      "%llu wrong\n",
      static_cast<unsigned long long>(counts.crashes), static_cast<unsigned long long>(counts.acknowledged),
      static_cast<unsigned long long>(counts.found), static_cast<unsigned long long>(counts.right),
      static_cast<unsigned long long>(counts.missed), static_cast<unsigned long long>(counts.wrong));
  EXPECT_EQ(counts.crashes, 10'000u);
  EXPECT_GT(counts.right, counts.crashes) << "something must survive, or nothing was tested";
  EXPECT_GT(counts.missed, 0u);
}

TEST(NvmePowerLoss, WhatWasAcknowledgedAndFlushedIsFound) {
  const std::uint64_t bytes = volume_config(kBlock, kSlots).geometry.bytes();
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    std::map<std::uint64_t, std::uint64_t> versions;
    DriveImage image;
    std::size_t there = 0;
    {
      Life life(std::make_unique<RamDrive>(bytes, seed), seed);
      life.work(100, &versions);
      for (const Remembered& entry : life.recall()) there += life.load(entry) != nullptr ? 1u : 0u;
      ASSERT_TRUE(life.volume().medium().flush().ok());
      image = life.power_cut(0);
    }
    Counts counts;
    Life after(std::make_unique<RamDrive>(bytes, seed, std::move(image)), seed);
    check(after, &counts);
    EXPECT_EQ(counts.wrong, 0u);
    // At most those under way when the power went are lost.
    EXPECT_GE(counts.right + 7, there) << seed;
  }
}

TEST(NvmePowerLoss, AFlippedBitAnywhereIsAMissOrARefusalAndNeverAWrongBlock) {
  const std::uint64_t bytes = volume_config(kBlock, kSlots).geometry.bytes();
  std::map<std::uint64_t, std::uint64_t> versions;
  DriveImage image;
  {
    Life life(std::make_unique<RamDrive>(bytes, 1), 1);
    life.work(200, &versions);
    ASSERT_TRUE(life.volume().write_table().ok());
    ASSERT_TRUE(life.volume().medium().flush().ok());
    image = life.power_cut(0);
  }
  Counts counts;
  std::uint64_t flips = 0;
  const auto flip = [&](std::uint64_t bit) {
    DriveImage rotten = image;
    rotten.flip(bit);
    Life life(std::make_unique<RamDrive>(bytes, bit, std::move(rotten)), bit);
    ASSERT_TRUE(life.opened());
    check(life, &counts);
    ASSERT_EQ(counts.wrong, 0u) << "bit " << bit;
    ++flips;
  };
  for (const std::uint64_t at : kSuperblockAt) {
    for (std::uint64_t bit = 0; bit < 8 * 240; bit += 3) flip(8 * at + bit);
  }
  for (std::uint64_t bit = 0; bit < 8 * 2 * sizeof(Record); ++bit) flip(8 * kTableOffset + bit);
  std::mt19937_64 random(1);
  for (int i = 0; i < 500; ++i) flip(8 * kDataAlignment + random() % (8 * kSlots * kBlock));
  std::printf("%llu flipped bits: %llu blocks right, %llu missed, %llu wrong\n",
              static_cast<unsigned long long>(flips), static_cast<unsigned long long>(counts.right),
              static_cast<unsigned long long>(counts.missed), static_cast<unsigned long long>(counts.wrong));
}

}  // namespace
}  // namespace kelvin::nvme

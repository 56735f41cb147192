// A drive that answers with errors: what the links say of each copy, and that the ledger lists nothing that
// is not there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "nvme_fixture.h"
#include "ram_drive.h"

namespace kelvin::nvme {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t kBlock = 16 * kKiB;
constexpr std::uint32_t kSlots = 70;  // two pages of records
constexpr std::uint64_t kTableEnd = kTableOffset + 2 * kPageBytes;

bool in_table(std::uint64_t offset) { return offset >= kTableOffset && offset < kTableEnd; }

class NvmeFault : public ::testing::Test {
 protected:
  NvmeFault() : memory_(kSlots, kBlock) {
    auto drive = std::make_unique<RamDrive>(volume_config(kBlock, kSlots).geometry.bytes(), 1);
    drive_ = drive.get();
    std::string why;
    auto volume = Volume::open(std::move(drive), volume_config(kBlock, kSlots), Content::kNothing, &why);
    EXPECT_TRUE(volume.ok()) << why;
    std::vector<std::unique_ptr<Volume>> volumes;
    volumes.push_back(std::move(volume).value());
    tier_ = std::make_unique<NvmeTier>("nvme", std::move(volumes),
                                       LinkSettings{.depth = 4, .request_bytes = 4 * kKiB});
    writer_ = open_link(memory_, *tier_);
    reader_ = open_link(*tier_, memory_);
    for (std::uint32_t slot = 0; slot < kSlots; ++slot)
      std::memset(bytes(slot), static_cast<int>(slot + 1), kBlock);
  }

  void TearDown() override { drive_->fault = nullptr; }  // it names what the test has on its stack

  std::byte* bytes(std::uint32_t slot) const { return memory_.address(Slot(slot), 0).pointer; }
  static Copy copy_of(std::uint32_t slot) {
    Copy copy;
    copy.tag = slot;
    copy.from = copy.to = Slot(slot);
    copy.key = {slot, 1};
    return copy;
  }
  // Copies each of the slots; by slot, what became of it.
  static std::vector<Status> run(Link& link, std::vector<std::uint32_t> slots) {
    std::vector<Status> ended(kSlots);
    std::size_t submitted = 0;
    for (std::size_t completed = 0; completed < slots.size();) {
      while (submitted < slots.size()) {
        const Copy copy = copy_of(slots[submitted]);
        if (link.submit({&copy, 1}) == 0) break;
        ++submitted;
      }
      std::array<Completion, 8> done;
      const std::size_t n = link.poll(done);
      for (const Completion& c : std::span(done).first(n)) ended[c.tag] = c.status;
      completed += n;
    }
    return ended;
  }
  std::set<std::uint32_t> listed() const {
    std::vector<Remembered> all(kSlots);
    std::uint32_t next = 0;
    all.resize(tier_->info().ledger->recall(next, all));
    std::set<std::uint32_t> slots;
    for (const Remembered& entry : all) slots.insert(entry.slot.value);
    return slots;
  }

  AlignedTier memory_;
  RamDrive* drive_ = nullptr;
  std::unique_ptr<NvmeTier> tier_;
  std::unique_ptr<Link> writer_;
  std::unique_ptr<Link> reader_;
};

TEST_F(NvmeFault, AnErrorWhileABlockIsWrittenIsThatBlocksAlone) {
  drive_->fault = [&](bool write, std::uint64_t offset, std::uint64_t) {
    return write && offset == tier_->address(Slot(3), 0).offset + 8 * kKiB ? -EIO : 0;
  };
  const auto ended = run(*writer_, {1, 2, 3, 4});
  EXPECT_EQ(ended[3].code(), Code::kIo);
  for (const std::uint32_t slot : {1u, 2u, 4u}) EXPECT_TRUE(ended[slot].ok());
  EXPECT_EQ(listed(), (std::set<std::uint32_t>{1, 2, 4}));
}

TEST_F(NvmeFault, AFullDriveIsNamedSo) {
  drive_->fault = [&](bool write, std::uint64_t offset, std::uint64_t) {
    return write && !in_table(offset) ? -ENOSPC : 0;
  };
  EXPECT_EQ(run(*writer_, {1})[1].code(), Code::kFull);
  EXPECT_TRUE(listed().empty());
}

TEST_F(NvmeFault, ADriveThatIsGoneIsNamedSo) {
  drive_->fault = [](bool, std::uint64_t, std::uint64_t) { return -ENODEV; };
  EXPECT_EQ(run(*writer_, {1})[1].code(), Code::kUnavailable);
  EXPECT_EQ(run(*reader_, {1})[1].code(), Code::kUnavailable);
}

TEST_F(NvmeFault, AnErrorOnTheSlotTableFailsTheBlocksOfThatPage) {
  drive_->fault = [](bool write, std::uint64_t offset, std::uint64_t) {
    return write && offset == kTableOffset ? -EIO : 0;
  };
  const auto ended = run(*writer_, {0, 63, 64, 69});
  EXPECT_EQ(ended[0].code(), Code::kIo);
  EXPECT_EQ(ended[63].code(), Code::kIo);
  EXPECT_TRUE(ended[64].ok());
  EXPECT_TRUE(ended[69].ok());
  EXPECT_EQ(listed(), (std::set<std::uint32_t>{64, 69})) << "nobody finds what was not acknowledged";
  drive_->fault = nullptr;
  EXPECT_TRUE(run(*writer_, {0})[0].ok()) << "and once the drive is well it works again";
  EXPECT_EQ(listed(), (std::set<std::uint32_t>{0, 64, 69}));
}

TEST_F(NvmeFault, ShortReadsAndWritesGoOnWhereTheyEnded) {
  std::mt19937 random(1);
  drive_->fault = [&](bool, std::uint64_t, std::uint64_t bytes) -> std::int32_t {
    return random() % 2 == 0 ? static_cast<std::int32_t>(1 + random() % bytes) : 0;
  };
  std::vector<std::uint32_t> all;
  for (std::uint32_t slot = 0; slot < kSlots; ++slot) all.push_back(slot);
  // One shorter than a page makes no progress: with these the drive's word counts as an error.
  const auto written = run(*writer_, all);
  for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
    EXPECT_TRUE(written[slot].ok() || written[slot].code() == Code::kIo);
    EXPECT_EQ(listed().contains(slot), written[slot].ok()) << slot;
  }
  drive_->fault = nullptr;
  for (const std::uint32_t slot : listed()) std::memset(bytes(slot), 0xEE, kBlock);
  const std::set<std::uint32_t> there = listed();
  run(*reader_, {there.begin(), there.end()});
  for (const std::uint32_t slot : there) {
    EXPECT_EQ(std::count(bytes(slot), bytes(slot) + kBlock, static_cast<std::byte>(slot + 1)),
              static_cast<std::ptrdiff_t>(kBlock))
        << slot;
  }
}

TEST_F(NvmeFault, RequestsToBeTriedAgainAreTriedAgain) {
  std::uint32_t asked = 0;
  drive_->fault = [&](bool, std::uint64_t, std::uint64_t) {
    return ++asked % 3 != 0 ? (asked % 2 == 0 ? -EAGAIN : -EINTR) : 0;
  };
  EXPECT_TRUE(run(*writer_, {1, 2})[2].ok());
  EXPECT_TRUE(run(*reader_, {1})[1].ok());
}

TEST_F(NvmeFault, ATableThatCannotBeReadIsRefusedAndNothingIsWritten) {
  auto drive = std::make_unique<RamDrive>(volume_config(kBlock, kSlots).geometry.bytes(), 1);
  std::string why;
  {
    auto volume = Volume::open(std::move(drive), volume_config(kBlock, kSlots), Content::kNothing, &why);
    ASSERT_TRUE(volume.ok()) << why;
    auto& medium = static_cast<RamDrive&>((*volume)->medium());
    ASSERT_TRUE(medium.flush().ok());
    drive = std::make_unique<RamDrive>(medium.info().bytes, 2, medium.power_cut(0));
  }
  std::uint32_t writes = 0;
  drive->fault = [&](bool write, std::uint64_t offset, std::uint64_t) {
    writes += write ? 1u : 0u;
    return in_table(offset) ? -EIO : 0;
  };
  const auto volume = Volume::open(std::move(drive), volume_config(kBlock, kSlots), Content::kBlocks, &why);
  ASSERT_FALSE(volume.ok());
  EXPECT_EQ(volume.status().code(), Code::kIo);
  EXPECT_THAT(why, HasSubstr("slot table"));
  EXPECT_EQ(writes, 0u);
}

}  // namespace
}  // namespace kelvin::nvme

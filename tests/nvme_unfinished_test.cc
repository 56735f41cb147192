// Opening and closing are cut off after each of their writes, in one drive and in a stripe: the next one
// opens, with every block that was there. And of processes that make one stripe at the same time one
// succeeds.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <random>

#include "nvme_fixture.h"
#include "ram_drive.h"
#include "tiers/nvme/stripe.h"

namespace kelvin::nvme {
namespace {

constexpr std::uint64_t kBlock = 4 * kKiB;
constexpr std::uint32_t kSlots = 80;
constexpr std::uint32_t kBlocks = 12;  // on each drive

// Drives that outlive whoever opens them, and writes that stop reaching them.
class Machine {
 public:
  explicit Machine(std::size_t drives) {
    const std::uint64_t bytes = volume_config(kBlock, kSlots).geometry.bytes();
    for (std::size_t i = 0; i < drives; ++i) drives_.push_back(std::make_unique<RamDrive>(bytes, i + 1));
    plug();
  }

  // From now on `writes` more of them arrive, on all drives together.
  void cut_after(std::uint64_t writes) { left_ = writes; }
  bool was_cut() const { return cut_; }
  // The process is dead; what it wrote is there. Or the power went: of what it did not flush, a part.
  void restart(double kept, std::uint64_t seed) {
    const std::uint64_t bytes = volume_config(kBlock, kSlots).geometry.bytes();
    for (auto& drive : drives_) drive = std::make_unique<RamDrive>(bytes, seed++, drive->power_cut(kept));
    plug();
  }

  Result<std::vector<std::unique_ptr<Volume>>> open(std::string* why) {
    Media media;
    for (auto& drive : drives_) media.push_back(std::make_unique<Borrowed>(*drive));
    return open_stripe(std::move(media), volume_config(kBlock, kSlots), false, why);
  }
  // Opens and fills; what was written is flushed.
  void make_blocks() {
    std::string why;
    auto volumes = open(&why);
    ASSERT_TRUE(volumes.ok()) << why;
    for (const auto& volume : *volumes) {
      for (std::uint32_t slot = 0; slot < kBlocks; ++slot) {
        Copy copy;
        copy.key = {slot, 1};
        volume->table()->put(7 * slot % kSlots, copy, 0);
      }
      ASSERT_TRUE(volume->close().ok());
    }
  }
  ::testing::AssertionResult opens_with(std::uint32_t blocks) {
    std::string why;
    const auto volumes = open(&why);
    if (!volumes.ok()) return ::testing::AssertionFailure() << why;
    for (const auto& volume : *volumes) {
      if (volume->found().used != blocks) {
        return ::testing::AssertionFailure()
               << volume->found().used << " blocks instead of " << blocks << " are found";
      }
    }
    return ::testing::AssertionSuccess();
  }

 private:
  class Borrowed final : public Medium {
   public:
    explicit Borrowed(RamDrive& drive) : drive_(drive) {}
    const MediumInfo& info() const noexcept override { return drive_.info(); }
    Status read(std::uint64_t offset, std::span<std::byte> bytes) noexcept override {
      return drive_.read(offset, bytes);
    }
    Status write(std::uint64_t offset, std::span<const std::byte> bytes) noexcept override {
      return drive_.write(offset, bytes);
    }
    Status flush() noexcept override { return drive_.flush(); }
    Result<std::unique_ptr<IoQueue>> open_queue(const QueueConfig& config, std::string* why) override {
      return drive_.open_queue(config, why);
    }

   private:
    RamDrive& drive_;
  };

  void plug() {
    left_ = UINT64_MAX;
    cut_ = false;
    for (auto& drive : drives_) {
      drive->fault = [this](bool write, std::uint64_t /*offset*/, std::uint64_t /*bytes*/) {
        if (!write) return 0;
        if (left_ == 0) cut_ = true;
        return left_ == 0 ? -EIO : (--left_, 0);
      };
    }
  }

  std::vector<std::unique_ptr<RamDrive>> drives_;
  std::uint64_t left_ = UINT64_MAX;
  bool cut_ = false;
};

// The parameter: how many drives.
class NvmeUnfinished : public ::testing::TestWithParam<std::size_t> {
 protected:
  // Runs `act` again and again, cut off before its first write, its second, ..., until it says that it was
  // not; each time on drives as `prepare` left them. Returns how many writes it has.
  template <class Prepare, class Act>
  std::uint64_t cut_everywhere(double kept, std::uint32_t blocks, Prepare prepare, Act act) {
    for (std::uint64_t writes = 0;; ++writes) {
      Machine machine(GetParam());
      prepare(machine);
      machine.restart(1, 17);
      const bool cut = act(machine, writes);
      machine.restart(kept, writes);
      EXPECT_TRUE(machine.opens_with(blocks)) << "cut off after write " << writes;
      EXPECT_TRUE(machine.opens_with(blocks)) << "and again, after write " << writes;
      if (!cut || ::testing::Test::HasFailure()) return writes;
    }
  }
  static void nothing(Machine& /*machine*/) {}
  static void blocks(Machine& machine) { machine.make_blocks(); }
  // Whether it was cut off.
  static bool cut_opening(Machine& machine, std::uint64_t writes) {
    machine.cut_after(writes);
    std::string why;
    const auto opened = machine.open(&why);
    const bool cut = machine.was_cut();
    machine.cut_after(0);  // no orderly end
    return cut;
  }
  static bool cut_closing(Machine& machine, std::uint64_t writes) {
    std::string why;
    {
      const auto opened = machine.open(&why);
      EXPECT_TRUE(opened.ok()) << why;
      machine.cut_after(writes);
    }
    return machine.was_cut();
  }
};
INSTANTIATE_TEST_SUITE_P(Drives, NvmeUnfinished, ::testing::Values(1u, 3u),
                         ::testing::PrintToStringParamName());

TEST_P(NvmeUnfinished, AFirstFormatThatWasKilledIsMadeAnew) {
  const std::uint64_t cuts = cut_everywhere(1, 0, nothing, cut_opening);
  EXPECT_GE(cuts, 3 * GetParam()) << "a table and two superblocks each";
}

TEST_P(NvmeUnfinished, AFirstFormatThatLostItsPowerIsMadeAnew) {
  for (const double kept : {0.0, 0.5}) cut_everywhere(kept, 0, nothing, cut_opening);
}

TEST_P(NvmeUnfinished, OpeningThatIsCutOffLosesNoBlock) {
  for (const double kept : {0.0, 0.5, 1.0}) {
    const std::uint64_t cuts = cut_everywhere(kept, kBlocks, blocks, cut_opening);
    EXPECT_GE(cuts, 2 * GetParam()) << "two superblocks each";
  }
}

TEST_P(NvmeUnfinished, ClosingThatIsCutOffLosesNoBlock) {
  for (const double kept : {0.0, 0.5, 1.0}) {
    const std::uint64_t cuts = cut_everywhere(kept, kBlocks, blocks, cut_closing);
    EXPECT_GE(cuts, 2 * GetParam()) << "two superblocks each";
  }
}

std::vector<std::string> two_paths(const ScratchDirectory& directory) {
  return {directory.file("first"), directory.file("second")};
}

Code try_to_open(const std::vector<std::string>& paths, std::uint32_t wait_ms) {
  std::string why;
  MediumConfig medium;
  medium.require_direct = false;
  medium.lock_wait_ms = wait_ms;
  const auto opened = open_stripe(paths, medium, volume_config(kBlock, kSlots), false, &why);
  return opened.status().code();
}

// Tries until something else is the answer than that somebody else holds the files.
[[noreturn]] void make_stripe(const std::vector<std::string>& paths, std::uint32_t seed) {
  std::mt19937 random(seed);
  for (int i = 0; i < 1'000; ++i) {
    const Code code = try_to_open(paths, static_cast<std::uint32_t>(random() % 3));
    if (code != Code::kBusy) ::_exit(code == Code::kOk ? 0 : code == Code::kInvalid ? 2 : 1);
    ::usleep(static_cast<useconds_t>(random() % 2'000));
  }
  ::_exit(3);
}

TEST(NvmeUnfinishedStripe, ProcessesThatMakeOneAtTheSameTimeAgreeOnIt) {
  constexpr std::uint32_t kRounds = 20;
  constexpr std::uint32_t kProcesses = 4;
  const ScratchDirectory directory;
  const std::vector<std::string> order = two_paths(directory);
  const std::vector<std::string> reverse = {order[1], order[0]};
  std::uint32_t made = 0;
  for (std::uint32_t round = 0; round < kRounds; ++round) {
    for (const std::string& path : order) std::filesystem::remove(path);
    std::vector<pid_t> children;
    for (std::uint32_t n = 0; n < kProcesses; ++n) {
      const pid_t child = ::fork();
      ASSERT_GE(child, 0);
      if (child == 0) make_stripe(n % 2 == 0 ? order : reverse, round * kProcesses + n);
      children.push_back(child);
    }
    for (const pid_t child : children) {
      int status = 0;
      ASSERT_EQ(::waitpid(child, &status, 0), child);
      ASSERT_TRUE(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 2))
          << "round " << round << ": " << status;
      if (WEXITSTATUS(status) == 0) ++made;
    }
    // One of the two orders is the stripe's, and the other one is told so.
    const Code forward = try_to_open(order, 2000);
    const Code backward = try_to_open(reverse, 2000);
    EXPECT_TRUE((forward == Code::kOk && backward == Code::kInvalid) ||
                (forward == Code::kInvalid && backward == Code::kOk))
        << "round " << round << ": " << code_name(forward) << ", " << code_name(backward);
  }
  EXPECT_GE(made, kRounds);
}

}  // namespace
}  // namespace kelvin::nvme

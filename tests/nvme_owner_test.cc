// Waiting for the process that holds a medium: longer for one that was killed than for one that lives.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <string>

#include "base/fd.h"
#include "nvme_fixture.h"
#include "tiers/nvme/format.h"
#include "tiers/nvme/owner.h"

namespace kelvin::nvme {
namespace {

using std::chrono::steady_clock;
using ::testing::EndsWith;
using ::testing::IsEmpty;

class NvmeOwner : public ::testing::Test {
 protected:
  // A medium whose superblock names that process.
  Fd medium_of(pid_t process) {
    const std::string path = directory_.file("blocks");
    { const auto tier = open_tier(path, 64 * kKiB, 4); }
    Fd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    Superblock page;
    EXPECT_EQ(::pread(fd.get(), &page, sizeof page, 0), static_cast<ssize_t>(sizeof page));
    page.owner = static_cast<std::uint32_t>(process);
    ++page.epoch;  // the other superblock is an older one
    page.checksum = superblock_checksum(page);
    EXPECT_EQ(::pwrite(fd.get(), &page, sizeof page, 0), static_cast<ssize_t>(sizeof page));
    return fd;
  }

  // A process that has ended. Where a lock's file is given, another one holds that for it until end_all().
  pid_t ended_process(int locked = -1) {
    std::array<int, 2> tell{};
    EXPECT_EQ(::pipe(tell.data()), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      if (locked >= 0) {
        if (::flock(locked, LOCK_EX) != 0) ::_exit(1);
        const pid_t heir = ::fork();
        if (heir == 0) {
          for (;;) ::pause();
        }
        if (::write(tell[1], &heir, sizeof heir) != sizeof heir) ::_exit(2);
      }
      ::_exit(0);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    if (locked >= 0) {
      EXPECT_EQ(::read(tell[0], &heir_, sizeof heir_), static_cast<ssize_t>(sizeof heir_));
    }
    for (const int end : tell) ::close(end);
    return child;
  }
  ~NvmeOwner() override {
    if (heir_ > 0) ::kill(heir_, SIGKILL);
  }

  // Of what stays held for longer than anybody waits.
  std::string wait(int fd) {
    const auto began = steady_clock::now();
    OwnerWait wait(kMostMs);
    while (wait.go_on(fd)) {
    }
    waited_ms_ = std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - began).count();
    return wait.owner();
  }

  static constexpr std::uint32_t kMostMs = 20;
  const ScratchDirectory directory_;
  pid_t heir_ = -1;
  std::int64_t waited_ms_ = 0;
};

std::string named(pid_t process) { return " (process " + std::to_string(process); }

TEST_F(NvmeOwner, ThatLivesIsNamedByItsLock) {
  const Fd fd = medium_of(1);
  ASSERT_EQ(::flock(fd.get(), LOCK_EX), 0);
  EXPECT_EQ(wait(fd.get()), named(::getpid()) + ")");
  EXPECT_GE(waited_ms_, kMostMs);
}

TEST_F(NvmeOwner, ThatHasEndedIsWaitedForMuchLonger) {
  const pid_t process = ended_process();
  const Fd fd = medium_of(process);
  EXPECT_EQ(wait(fd.get()), named(process) + ", which has ended, or is in another container)");
  EXPECT_GE(waited_ms_, 10 * kMostMs);
}

TEST_F(NvmeOwner, ThatWasKilledBeforeItWroteItsNameIsKnownByItsLock) {
  const Fd fd = medium_of(::getpid());
  const pid_t process = ended_process(Fd(::open(directory_.file("blocks").c_str(), O_RDWR)).get());
  EXPECT_THAT(wait(fd.get()), EndsWith(", which has ended, or is in another container)")) << process;
  EXPECT_GE(waited_ms_, 10 * kMostMs);
}

TEST_F(NvmeOwner, IsNotKnownOfWhatIsNoneOfOurs) {
  const Fd fd(::open(directory_.file("blank").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_GE(fd.get(), 0);
  EXPECT_THAT(wait(fd.get()), IsEmpty());
  EXPECT_THAT(wait(-1), IsEmpty());
}

}  // namespace
}  // namespace kelvin::nvme

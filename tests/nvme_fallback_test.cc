// Where io_uring is forbidden the NVMe links use threads, or say why they cannot.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <string>

#include "nvme_fixture.h"
#include "tiers/nvme/nvme.h"
#include "tiers/nvme/nvme_link.h"

namespace kelvin::nvme {
namespace {

using ::testing::HasSubstr;

// From now on this process gets EPERM from io_uring_setup, as in many containers. Cannot be undone.
bool forbid_uring() {
  std::array<sock_filter, 4> program = {{
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, __NR_io_uring_setup},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EPERM},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
  }};
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

TEST(NvmeFallbackTest, WhereIoUringIsForbiddenThreadsAreUsed) {
  constexpr int kNoSeccomp = 77;
  const ScratchDirectory directory;
  const pid_t child = ::fork();
  if (child == 0) {
    if (!forbid_uring()) ::_exit(kNoSeccomp);
    const auto connect = [&](QueueKind kind, std::string* why) {
      const auto file = open_tier(directory.file("blocks"), 64 * kKiB, 8, {.queue = kind});
      const AlignedTier memory(8, 64 * kKiB);
      auto link = kNvmeLink.connect({.from = memory, .to = *file, .clock = {}}, why);
      return link.ok() ? std::string(static_cast<const NvmeLink&>(**link).queue_description()) : "refused";
    };
    std::string why;
    EXPECT_EQ(connect(QueueKind::kAuto, &why), "threads");
    EXPECT_EQ(connect(QueueKind::kUring, &why), "refused");
    EXPECT_THAT(why, HasSubstr("io = \"threads\""));
    ::_exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == kNoSeccomp) GTEST_SKIP() << "needs seccomp filters";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace kelvin::nvme

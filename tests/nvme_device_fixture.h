// What the tests of raw devices share: a loop device made here, or a device that the environment names, blank
// at the start of each test.
//
// Thread contract: one test, one thread.
#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "nvme_fixture.h"
#include "space_fixture.h"
#include "tiers/nvme/nvme.h"
#include "tiers/nvme/open_medium.h"
#include "tiers/nvme/signature.h"

namespace kelvin::nvme {

inline constexpr std::uint64_t kDeviceCapacity = 32 * kMiB;

// A file that is a block device while this lives. Works for root only.
class LoopDevice {
 public:
  explicit LoopDevice(const std::string& file) {
    const Fd backing(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    const Fd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    if (backing.get() < 0 || ::ftruncate(backing.get(), 64 << 20) != 0) return;
    const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) return;
    const std::string path = "/dev/loop" + std::to_string(number);
    device_ = Fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    loop_config config{};
    config.fd = static_cast<std::uint32_t>(backing.get());
    if (device_.get() >= 0 && ::ioctl(device_.get(), LOOP_CONFIGURE, &config) == 0) path_ = path;
  }
  ~LoopDevice() {
    if (!path_.empty()) ::ioctl(device_.get(), LOOP_CLR_FD, 0);
  }
  LoopDevice(const LoopDevice&) = delete;
  LoopDevice& operator=(const LoopDevice&) = delete;

  const std::string& path() const { return path_; }  // empty: it could not be made

 private:
  Fd device_;
  std::string path_;
};

inline std::string environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): before any thread starts
  return value == nullptr ? "" : value;
}

// The parameter: "Loop", "Block" or "Char".
class DeviceTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::string kind = GetParam();
    if (kind == "Loop") {
      loop_ = std::make_unique<LoopDevice>(directory_.file("image"));
      path_ = loop_->path();
      if (path_.empty()) GTEST_SKIP() << "needs root and loop devices";
    } else {
      const char* variable = kind == "Block" ? "KELVIN_TEST_BLOCK_DEVICE" : "KELVIN_TEST_CHAR_DEVICE";
      path_ = environment(variable);
      if (path_.empty()) GTEST_SKIP() << "set " << variable << " to a device whose content may be lost";
    }
    ASSERT_NO_FATAL_FAILURE(erase());
  }
  bool is_char() const { return std::strcmp(GetParam(), "Char") == 0; }

  std::unique_ptr<Medium> open_unseen() {
    std::string holds;
    auto medium = open_medium_to_format({.path = path_}, &holds, &why_);
    EXPECT_TRUE(medium.ok()) << why_;
    return medium.ok() ? std::move(medium).value() : nullptr;
  }
  void erase() {
    const auto medium = open_unseen();
    ASSERT_NE(medium, nullptr);
    ASSERT_TRUE(erase_signatures(*medium, &why_).ok()) << why_;
  }
  // A page that holds these bytes, and zeros else.
  void put(std::uint64_t page_at, std::size_t offset, const void* bytes, std::size_t count) {
    struct alignas(kPageBytes) Page {
      std::array<std::byte, kPageBytes> bytes{};
    };
    const auto medium = open_unseen();
    ASSERT_NE(medium, nullptr);
    Page page;
    std::memcpy(&page.bytes[offset], bytes, count);
    ASSERT_TRUE(medium->write(page_at, page.bytes).ok());
  }
  std::uint64_t size() {
    const auto medium = open_unseen();
    return medium == nullptr ? 0 : medium->info().bytes;
  }

  Result<std::unique_ptr<Tier>> open(std::uint64_t capacity = kDeviceCapacity) {
    TierConfig tier;
    tier.name = "drive";
    tier.kind = "nvme";
    tier.capacity_bytes = capacity;
    tier.options = {{"path", path_}};
    SpaceConfig space;
    space.block_bytes = 64 * kKiB;
    why_.clear();
    auto options = Options::bind(kNvmeTier.options, tier.options, "tier 'drive'", &why_);
    if (!options.ok()) return options.status();
    return kNvmeTier.open({.space = space, .tier = tier}, *options, &why_);
  }

  ScratchDirectory directory_;
  std::unique_ptr<LoopDevice> loop_;
  std::string path_;
  std::string why_;
};

inline std::string kind_name(const ::testing::TestParamInfo<const char*>& kind) { return kind.param; }

}  // namespace kelvin::nvme

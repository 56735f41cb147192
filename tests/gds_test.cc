// GdsLink: when it joins, what it says where it does not, and how reads fail, hang and are canceled.
#include <array>
#include <cerrno>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "checksum/crc32c.h"
#include "gds_fixture.h"

namespace kelvin::hbm {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kBlock = 64 << 10;
constexpr std::uint32_t kSlots = 48;

class GdsTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (!has_direct_io(directory_, &why_)) GTEST_SKIP() << why_;
    setup_.block_bytes = kBlock;
    setup_.slots = kSlots;
    if (emulated()) {
      device_ = &own_device(next_device_++);  // each test has one of its own, which it may break
    } else {
      device_ = pretended_device(GetParam(), &why_);
      if (device_ == nullptr) GTEST_SKIP() << why_;
    }
    setup_.settings = on(device_->properties().name);
    setup_.settings.gds = Gds::kOn;
  }
  void TearDown() override {
    fake_.hold(false);
    link_.reset();
    EXPECT_EQ(fake_.seen().files, 0);
    EXPECT_EQ(fake_.seen().memories, 0);
    EXPECT_EQ(fake_.seen().breaches, 0U);
  }

  bool emulated() const { return std::string(GetParam()) == "emulated:0"; }
  EmulatedDevice& own() const { return dynamic_cast<EmulatedDevice&>(*device_); }

  void open_tiers(std::uint32_t files = 1) {
    std::vector<std::string> paths;
    for (std::uint32_t i = 0; i < files; ++i) paths.push_back(directory_.file("blocks" + std::to_string(i)));
    drives_ = open_drives(paths, kBlock, kSlots);
    hbm_ = open_tier(setup_);
    ASSERT_TRUE(drives_ != nullptr && hbm_ != nullptr);
  }
  // Null: it does not join them; why_ says why.
  Status connect(GdsLink::Find find = find_fake) {
    why_.clear();
    auto link = GdsLink::connect({.from = *drives_, .to = *hbm_, .clock = {}}, find, &why_);
    link_ = link.ok() ? std::move(*link) : nullptr;
    return link.status();
  }
  void join(const fake_cufile::Script& script = {}, std::uint32_t files = 1) {
    fake_.reset(script);
    open_tiers(files);
    ASSERT_TRUE(connect().ok()) << why_;
    ASSERT_NE(link_, nullptr) << why_;
  }
  ::testing::AssertionResult refuses(const std::string& words) {
    if (const Status s = connect(); s.ok()) return ::testing::AssertionFailure() << "it joins them";
    if (why_.find("gds = \"on\"") == std::string::npos || why_.find(words) == std::string::npos)
      return ::testing::AssertionFailure() << why_;
    return ::testing::AssertionSuccess();
  }

  static Copy copy_of(std::uint32_t n) {
    Copy copy;
    copy.tag = n;
    copy.from = Slot(n);
    copy.to = Slot(kSlots - 1 - n);
    return copy;
  }
  void submit(std::uint32_t first, std::uint32_t count) {
    for (std::uint32_t n = first; n < first + count; ++n) {
      ASSERT_TRUE(testing::fill_slot(*drives_, Slot(n), n));
      const Copy copy = copy_of(n);
      ASSERT_EQ(link_->submit({&copy, 1}), 1U);
    }
  }
  // By tag.
  std::vector<Completion> collect(std::size_t count) {
    std::vector<Completion> done;
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (done.size() < count && std::chrono::steady_clock::now() < deadline) {
      std::array<Completion, 8> some;
      const std::size_t n = link_->poll(some);
      done.insert(done.end(), some.begin(), some.begin() + static_cast<std::ptrdiff_t>(n));
      if (n == 0) std::this_thread::sleep_for(50us);
    }
    EXPECT_EQ(done.size(), count);
    std::ranges::sort(done, {}, &Completion::tag);
    return done;
  }
  ::testing::AssertionResult arrived(const Completion& completion) {
    const auto n = static_cast<std::uint32_t>(completion.tag);
    if (!completion.status.ok()) return ::testing::AssertionFailure() << completion.status.message();
    const auto bytes = testing::pattern(n, kBlock);
    if (completion.checksum != crc32c(bytes.data(), bytes.size()))
      return ::testing::AssertionFailure() << "wrong checksum";
    if (!testing::slot_holds(*hbm_, copy_of(n).to, n)) return ::testing::AssertionFailure() << "wrong bytes";
    return ::testing::AssertionSuccess();
  }
  static bool comes_true(const std::function<bool()>& what) {
    for (int i = 0; i < 20'000; ++i) {
      if (what()) return true;
      std::this_thread::sleep_for(1ms);
    }
    return false;
  }

  static inline std::int32_t next_device_ = 401;

  FakeCuFile fake_;
  nvme::ScratchDirectory directory_;
  std::string why_;
  Device* device_ = nullptr;
  HbmSetup setup_;
  std::unique_ptr<nvme::NvmeTier> drives_;
  std::unique_ptr<HbmTier> hbm_;
  std::unique_ptr<Link> link_;
};
INSTANTIATE_TEST_SUITE_P(Devices, GdsTest, ::testing::ValuesIn(kDevices), device_name);

TEST_P(GdsTest, ReadsStraightIntoRegisteredMemory) {
  join();
  EXPECT_EQ(why_, "by GPUDirect Storage (cuFile 1.14)");
  submit(0, 4);
  for (const Completion& completion : collect(4)) EXPECT_TRUE(arrived(completion));
  EXPECT_EQ(fake_.seen().reads, 4U);
  EXPECT_EQ(fake_.seen().into_registered, 4U);
}

TEST_P(GdsTest, JoinsNothingElse) {
  open_tiers();
  const auto dram = open_host("dram", kBlock, kSlots);
  const auto joins = [&](const Tier& from, const Tier& to) {
    const auto link = GdsLink::connect({.from = from, .to = to, .clock = {}}, find_fake, &why_);
    EXPECT_TRUE(link.ok()) << why_;
    return *link != nullptr;
  };
  EXPECT_FALSE(joins(*hbm_, *drives_)) << "records are the drive's own link's affair";
  EXPECT_FALSE(joins(*dram, *hbm_));
  EXPECT_FALSE(joins(*drives_, *dram));
}

TEST_P(GdsTest, OffIsOff) {
  setup_.settings.gds = Gds::kOff;
  open_tiers();
  EXPECT_TRUE(connect().ok());
  EXPECT_EQ(link_, nullptr);
  EXPECT_EQ(why_, "");
}

TEST_P(GdsTest, AutoTakesItOnAGpuAlone) {
  setup_.settings.gds = Gds::kAuto;
  open_tiers();
  EXPECT_TRUE(connect().ok());
  EXPECT_EQ(link_ != nullptr, !emulated()) << why_;
}

TEST_P(GdsTest, AutoGoesOnWithoutAndSaysWhy) {
  if (emulated()) GTEST_SKIP() << "nothing is tried on an emulated device";
  setup_.settings.gds = Gds::kAuto;
  open_tiers();
  const auto why_not = [&](GdsLink::Find find = find_fake) {
    EXPECT_TRUE(connect(find).ok());
    EXPECT_EQ(link_, nullptr);
    EXPECT_EQ(why_.find("not by GPUDirect Storage: "), 0U) << why_;
    return why_;
  };
  EXPECT_NE(why_not(find_none).find("there is no cuFile here"), std::string::npos);
  fake_.reset({.open = cufile::kNvfsSetupError});
  EXPECT_NE(why_not().find("5033"), std::string::npos);
  fake_.reset({.supports = 0});
  EXPECT_NE(why_not().find("compatibility mode"), std::string::npos);
  fake_.reset({.register_file = cufile::kIoNotSupported});
  EXPECT_NE(why_not().find("ext4 or XFS"), std::string::npos);
}

TEST_P(GdsTest, AutoLeavesSmallRunsToTheStagedLink) {
  if (emulated()) GTEST_SKIP() << "nothing is tried on an emulated device";
  setup_.settings.gds = Gds::kAuto;
  setup_.settings.segments = 8;
  setup_.settings.segments_apart = true;
  open_tiers();
  EXPECT_TRUE(connect().ok());
  EXPECT_EQ(link_, nullptr);
  EXPECT_NE(why_.find("runs of 8192 bytes"), std::string::npos) << why_;
}

TEST_P(GdsTest, OnSaysWhatIsMissing) {
  open_tiers();
  EXPECT_EQ(connect(find_none).code(), Code::kUnavailable);
  EXPECT_NE(why_.find("there is no cuFile here"), std::string::npos) << why_;
  EXPECT_NE(why_.find("'nvme>hbm'"), std::string::npos) << why_;
  fake_.reset({.open = cufile::kPermissionDenied});
  EXPECT_TRUE(refuses("5025"));
  fake_.reset({.register_file = cufile::kIoNotSupported});
  EXPECT_TRUE(refuses("ext4 or XFS"));
}

TEST_P(GdsTest, OnTakesTheCompatibilityModeAndSaysSo) {
  join({.supports = 0});
  EXPECT_NE(why_.find("compatibility mode"), std::string::npos) << why_;
  submit(0, 1);
  EXPECT_TRUE(arrived(collect(1)[0]));
}

TEST_P(GdsTest, SegmentsThatAreNoPagesAreRefused) {
  setup_.settings.segments = 32;
  open_tiers();
  EXPECT_TRUE(refuses("multiples of 4096 bytes"));
}

TEST_P(GdsTest, MemoryThatCannotBeRegisteredCostsACopyAndNoMore) {
  join({.register_memory = cufile::kInvalidMappingSize});
  EXPECT_NE(why_.find("BAR1"), std::string::npos) << why_;
  submit(0, 2);
  for (const Completion& completion : collect(2)) EXPECT_TRUE(arrived(completion));
  EXPECT_EQ(fake_.seen().into_registered, 0U);
}

// The process's own library, which a fake that was loaded is by its name.
TEST_P(GdsTest, TwoTiersReadFromTheSameFiles) {
  open_tiers();
  ASSERT_TRUE(connect(open_cufile).ok()) << why_;
  setup_.name = "other";
  const auto other = open_tier(setup_);
  auto second = GdsLink::connect({.from = *drives_, .to = *other, .clock = {}}, open_cufile, &why_);
  ASSERT_TRUE(second.ok()) << why_;
  EXPECT_EQ(fake_.seen().files, 1);
  EXPECT_EQ(fake_.seen().memories, 2);
  submit(0, 2);
  second->reset();
  for (const Completion& completion : collect(2)) EXPECT_TRUE(arrived(completion));
}

TEST_P(GdsTest, AFailedReadIsOneCopysAffair) {
  join({.read_errno = EIO, .spared = 2, .times = 1});
  submit(0, 4);
  std::uint32_t failed = 0;
  for (const Completion& completion : collect(4)) {
    if (completion.status.ok()) {
      EXPECT_TRUE(arrived(completion));
      continue;
    }
    ++failed;
    EXPECT_EQ(completion.status.code(), Code::kIo);
    EXPECT_EQ(completion.status.native(), EIO);
    EXPECT_FALSE(completion.slot_only);
    EXPECT_EQ(completion.failed, Side::kFrom);
  }
  EXPECT_EQ(failed, 1U);
}

TEST_P(GdsTest, TheLibrarysOwnErrorsAreTold) {
  join({.read_error = cufile::kNvfsDriverError});
  submit(0, 1);
  const Status status = collect(1)[0].status;
  EXPECT_EQ(status.code(), Code::kIo);
  EXPECT_EQ(status.native(), cufile::kNvfsDriverError);
}

TEST_P(GdsTest, ADriveThatIsGoneIsUnavailable) {
  join({.read_errno = ENODEV});
  submit(0, 1);
  const Completion done = collect(1)[0];
  EXPECT_EQ(done.status.code(), Code::kUnavailable);
  EXPECT_EQ(done.failed, Side::kFrom);
}

TEST_P(GdsTest, AFileThatEndsBeforeTheBlockIsAnError) {
  join();
  const Address last = drives_->address(Slot(kSlots - 1), 0);
  ASSERT_EQ(::ftruncate(last.device, static_cast<off_t>(last.offset + kBlock / 2)), 0);
  Copy copy = copy_of(0);
  copy.from = Slot(kSlots - 1);
  ASSERT_EQ(link_->submit({&copy, 1}), 1U);
  EXPECT_EQ(collect(1)[0].status.code(), Code::kIo);
}

// Slot n is on drive n % 2.
TEST_P(GdsTest, OneDriveOfSeveralFailsForItsSlotsAlone) {
  fake_.reset({});
  open_tiers(2);
  fake_.reset({.read_errno = ENODEV, .only_descriptor = drives_->address(Slot(1), 0).device});
  ASSERT_TRUE(connect().ok()) << why_;
  for (std::uint32_t round = 0; round < 2; ++round) {  // in the second it is known to be lost
    submit(0, 8);
    for (const Completion& completion : collect(8)) {
      if (completion.tag % 2 == 0) {
        EXPECT_TRUE(arrived(completion));
      } else {
        EXPECT_EQ(completion.status.code(), Code::kIo);
        EXPECT_TRUE(completion.slot_only);
      }
    }
  }
  EXPECT_EQ(fake_.seen().reads, 8U + 4U) << "a lost drive is not asked again";
}

TEST_P(GdsTest, ALostDeviceIsTheDevicesFault) {
  if (!emulated()) GTEST_SKIP() << "the pretended driver is not the test's to break";
  join({.read_error = cufile::kCudaDriverError}, 2);
  own().lose();
  const Copy copy = copy_of(0);
  ASSERT_EQ(link_->submit({&copy, 1}), 1U);
  const Completion done = collect(1)[0];
  EXPECT_EQ(done.status.code(), Code::kUnavailable);
  EXPECT_FALSE(done.slot_only);
  EXPECT_EQ(done.failed, Side::kTo);
}

TEST_P(GdsTest, ADeviceThatIsLostBeforeTheChecksumEndsTheCopy) {
  if (!emulated()) GTEST_SKIP() << "the pretended driver is not the test's to break";
  join();
  fake_.hold(true);
  submit(0, 2);
  ASSERT_TRUE(comes_true([&] { return fake_.seen().running == 2; }));
  own().lose();
  fake_.hold(false);
  for (const Completion& completion : collect(2)) {
    EXPECT_EQ(completion.status.code(), Code::kUnavailable);
    EXPECT_EQ(completion.failed, Side::kTo);
  }
}

TEST_P(GdsTest, ADriveThatHangsHoldsNobodyUp) {
  constexpr std::size_t kRunning = 8;  // threads of a file
  join();
  fake_.hold(true);
  submit(0, 12);
  ASSERT_TRUE(comes_true([&] { return fake_.seen().running == std::int64_t{kRunning}; }));
  std::array<Completion, 4> none;
  EXPECT_EQ(link_->poll(none), 0U);
  link_->cancel_all();
  // What no drive has in hand ends at once, the rest when the drive answers.
  for (const Completion& completion : collect(12 - kRunning))
    EXPECT_EQ(completion.status.code(), Code::kCanceled);
  fake_.hold(false);
  for (const Completion& completion : collect(kRunning)) EXPECT_TRUE(arrived(completion));
  submit(0, 2);
  for (const Completion& completion : collect(2)) EXPECT_TRUE(arrived(completion));
}

TEST_P(GdsTest, ItsEndWaitsForTheDrive) {
  join();
  fake_.hold(true);
  submit(0, 2);
  ASSERT_TRUE(comes_true([&] { return fake_.seen().running == 2; }));
  std::atomic<bool> ended{false};
  std::thread ending([&] {
    link_.reset();
    ended = true;
  });
  std::this_thread::sleep_for(20ms);
  EXPECT_FALSE(ended);
  fake_.hold(false);
  ending.join();
  EXPECT_EQ(fake_.seen().running, 0);
}

// Reads are in no order with the engine's streams, so they set out when these are done.
TEST_P(GdsTest, WaitsForTheEnginesWorkOnTheTarget) {
  if (!emulated()) GTEST_SKIP() << "needs a stream that the test holds";
  join();
  const Stream stream = own().make_stream();
  std::atomic<bool> gate{false};
  own().launch(stream, [&] {
    while (!gate) std::this_thread::sleep_for(50us);
  });
  const Slot busy = copy_of(0).to;
  ASSERT_TRUE(hbm_->streams().follow(stream, {&busy, 1}).ok());
  submit(0, 2);
  EXPECT_EQ(collect(1)[0].tag, 1U) << "only what follows the stream waits";
  EXPECT_EQ(fake_.seen().reads, 1U);
  gate = true;
  EXPECT_TRUE(arrived(collect(1)[0]));
  own().synchronize(stream);
  own().close_stream(stream);
}

}  // namespace
}  // namespace kelvin::hbm

// CuFile: finding the library, its answers as a person reads them, what is registered and how often.
#include "tiers/hbm/gds/cufile.h"

#include <gtest/gtest.h>

#include <string>

#include "gds_fixture.h"

namespace kelvin::hbm {
namespace {

class CuFileTest : public ::testing::Test {
 protected:
  std::unique_ptr<CuFile> load(const fake_cufile::Script& script = {}) {
    fake_.reset(script);
    auto library = CuFile::load(KELVIN_FAKE_CUFILE, &why_);
    status_ = library.status();
    return library.ok() ? std::move(*library) : nullptr;
  }
  bool says(const std::string& words) const { return why_.find(words) != std::string::npos; }

  FakeCuFile fake_;
  std::string why_;
  Status status_;
};

TEST_F(CuFileTest, SaysThatThereIsNone) {
  const auto library = CuFile::load("libno-such-library.so.0", &why_);
  EXPECT_EQ(library.status().code(), Code::kUnavailable);
  EXPECT_TRUE(says("there is no cuFile here")) << why_;
  EXPECT_TRUE(says("install")) << why_;
}

TEST_F(CuFileTest, SaysWhichCallIsMissing) {
  const auto library = CuFile::load("libm.so.6", &why_);
  EXPECT_EQ(library.status().code(), Code::kUnavailable);
  EXPECT_TRUE(says("has no cuFileDriverOpen")) << why_;
}

TEST_F(CuFileTest, SaysWhyTheDriverDoesNotOpen) {
  EXPECT_EQ(load({.open = cufile::kPermissionDenied}), nullptr);
  EXPECT_EQ(status_.code(), Code::kUnavailable);
  EXPECT_EQ(status_.native(), cufile::kPermissionDenied);
  EXPECT_TRUE(says("5025")) << why_;
  EXPECT_TRUE(says("/dev/nvidia-fs")) << why_;
}

TEST_F(CuFileTest, ADriverThatSomebodyElseOpenedIsAsGood) {
  EXPECT_NE(load({.open = cufile::kDriverAlreadyOpen}), nullptr) << why_;
}

TEST_F(CuFileTest, KnowsItsVersion) {
  EXPECT_EQ(load({.version = 1140})->version(), "1.14");
  EXPECT_EQ(load({.version = 0})->version(), "");
}

TEST_F(CuFileTest, TellsTheCompatibilityModeFromTheDirectWay) {
  EXPECT_TRUE(load()->direct());
  EXPECT_TRUE(load({.supports = cufile::kSupportsPeerToPeer})->direct());
  EXPECT_TRUE(load({.supports = 0, .features = cufile::kFeaturePeerToPeer})->direct());
  EXPECT_FALSE(load({.supports = 0})->direct());
}

TEST_F(CuFileTest, RegistersAFileOnceHoweverManyUseIt) {
  const auto library = load();
  const auto first = library->acquire_file(5, &why_);
  const auto second = library->acquire_file(5, &why_);
  ASSERT_TRUE(first.ok() && second.ok()) << why_;
  EXPECT_EQ(*first, *second);
  EXPECT_EQ(fake_.seen().files, 1);
  library->release_file(5);
  EXPECT_EQ(fake_.seen().files, 1);
  library->release_file(5);
  EXPECT_EQ(fake_.seen().files, 0);
  library->release_file(5);
  EXPECT_EQ(fake_.seen().breaches, 0U);
}

TEST_F(CuFileTest, RegistersMemoryOnceHoweverManyUseIt) {
  const auto library = load();
  std::byte memory{};
  ASSERT_TRUE(library->acquire_memory(&memory, 4096, &why_).ok()) << why_;
  ASSERT_TRUE(library->acquire_memory(&memory, 4096, &why_).ok()) << why_;
  EXPECT_EQ(fake_.seen().memories, 1);
  library->release_memory(&memory);
  EXPECT_EQ(fake_.seen().memories, 1);
  library->release_memory(&memory);
  EXPECT_EQ(fake_.seen().memories, 0);
  EXPECT_EQ(fake_.seen().breaches, 0U);
}

TEST_F(CuFileTest, SaysThatAFileSystemDoesNotSuit) {
  const auto library = load({.register_file = cufile::kIoNotSupported});
  EXPECT_EQ(library->acquire_file(5, &why_).status().code(), Code::kUnsupported);
  EXPECT_TRUE(says("ext4 or XFS")) << why_;
}

TEST_F(CuFileTest, SaysThatMemoryDoesNotFitTheWindow) {
  const auto library = load({.register_memory = cufile::kInvalidMappingSize});
  std::byte memory{};
  EXPECT_EQ(library->acquire_memory(&memory, 64 << 20, &why_).code(), Code::kUnsupported);
  EXPECT_TRUE(says("64 MiB")) << why_;
  EXPECT_TRUE(says("BAR1")) << why_;
}

}  // namespace
}  // namespace kelvin::hbm

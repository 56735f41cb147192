// What the tests of GPUDirect Storage share: the pretended library (tests/fake_cufile), drives, and the link
// between them and a device.
//
// Thread contract: one test, one thread.
#pragma once

#include <dlfcn.h>
#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "hbm_fixture.h"
#include "nvme_fixture.h"
#include "tests/fake_cufile/fake_cufile.h"
#include "tiers/hbm/gds/gds_link.h"
#include "tiers/nvme/stripe.h"

namespace kelvin::hbm {

// The pretended library's controls; as it is made, the library is as if the process had just begun.
class FakeCuFile {
 public:
  explicit FakeCuFile(const fake_cufile::Script& script = {}) {
    void* handle = ::dlopen(KELVIN_FAKE_CUFILE, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    EXPECT_NE(handle, nullptr) << ::dlerror();  // NOLINT(concurrency-mt-unsafe)
    reset_ = reinterpret_cast<fake_cufile::ResetCall>(::dlsym(handle, "fake_cufile_reset"));
    change_ = reinterpret_cast<fake_cufile::ChangeCall>(::dlsym(handle, "fake_cufile_change"));
    seen_ = reinterpret_cast<fake_cufile::SeenCall>(::dlsym(handle, "fake_cufile_seen"));
    hold_ = reinterpret_cast<fake_cufile::HoldCall>(::dlsym(handle, "fake_cufile_hold"));
    reset(script);
  }

  void reset(const fake_cufile::Script& script) { reset_(&script); }
  void change(const fake_cufile::Script& script) { change_(&script); }
  const fake_cufile::Seen& seen() const { return *seen_(); }
  void hold(bool held) { hold_(held); }

 private:
  fake_cufile::ResetCall reset_ = nullptr;
  fake_cufile::ChangeCall change_ = nullptr;
  fake_cufile::SeenCall seen_ = nullptr;
  fake_cufile::HoldCall hold_ = nullptr;
};

// The library as it is scripted now; it is kept for the links that use it.
inline Result<CuFile*> find_fake(std::string* why) {
  static std::vector<std::unique_ptr<CuFile>> libraries;
  auto made = CuFile::load(KELVIN_FAKE_CUFILE, why);
  if (!made.ok()) return made.status();
  libraries.push_back(std::move(*made));
  return libraries.back().get();
}

inline Result<CuFile*> find_none(std::string* why) {
  const auto made = CuFile::load("libno-such-library.so.0", why);
  return made.status();
}

// As device_of, of those whose memory the pretended library can write to: emulated ones, and those of the
// pretended driver.
inline Device* pretended_device(const std::string& name, std::string* missing) {
  Device* const device = device_of(name, missing);
  if (device == nullptr || device->properties().emulated) return device;
  void* const driver = ::dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
  if (driver != nullptr && ::dlsym(driver, "fake_cuda_seen") != nullptr) return device;
  *missing = "the pretended cuFile cannot write to a real GPU";
  return nullptr;
}

// Whether direct I/O works where the tests' files are; if not, `missing` says so.
inline bool has_direct_io(const nvme::ScratchDirectory& directory, std::string* missing) {
  return nvme::FileMedium::open({.path = directory.file("probe")}, missing).ok();
}

// A drive's tier of as many files as there are paths.
inline std::unique_ptr<nvme::NvmeTier> open_drives(const std::vector<std::string>& paths,
                                                   std::uint64_t block_bytes, std::uint32_t slots) {
  std::string why;
  nvme::MediumConfig medium;
  medium.require_direct = false;
  const auto config = nvme::volume_config(block_bytes, slots / static_cast<std::uint32_t>(paths.size()));
  auto volumes = nvme::open_stripe(paths, medium, config, false, &why);
  EXPECT_TRUE(volumes.ok()) << why;
  if (!volumes.ok()) return nullptr;
  return std::make_unique<nvme::NvmeTier>("nvme", std::move(*volumes), nvme::LinkSettings{});
}

}  // namespace kelvin::hbm

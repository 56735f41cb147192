// What the tests of the NVMe tier share: a directory that goes away, aligned host memory as a tier, mounts.
//
// Thread contract: one test, one thread.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "kelvin/tier.h"
#include "tiers/nvme/file_medium.h"
#include "tiers/nvme/nvme.h"
#include "tiers/nvme/nvme_tier.h"

namespace kelvin::nvme {

inline constexpr std::uint64_t kKiB = 1024;
inline constexpr std::uint64_t kMiB = 1024 * kKiB;

// On the file system of the build, which is a drive where /tmp may be memory.
class ScratchDirectory {
 public:
  ScratchDirectory() : path_(KELVIN_BINARY_DIR "/nvme-XXXXXX") {
    if (::mkdtemp(path_.data()) == nullptr) path_.clear();
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  std::string file(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A small file system of its own; works for root only.
class ScratchMount {
 public:
  ScratchMount(const char* type, const char* data)
      : mounted_(::mount("kelvin-test", directory_.path().c_str(), type, 0, data) == 0) {}
  ~ScratchMount() {
    if (mounted_) ::umount2(directory_.path().c_str(), MNT_DETACH);
  }
  ScratchMount(const ScratchMount&) = delete;
  ScratchMount& operator=(const ScratchMount&) = delete;

  bool mounted() const { return mounted_; }
  std::string file(const std::string& name) const { return directory_.file(name); }

 private:
  ScratchDirectory directory_;
  bool mounted_;
};

// Host memory whose slots consist of `segments` pieces, each in its own run, as in an engine's layers.
class AlignedTier final : public Tier {
 public:
  AlignedTier(std::uint32_t slots, std::uint64_t slot_bytes, std::uint32_t segments = 1,
              std::uint32_t alignment = 4096) {
    info_.name = "memory";
    info_.kind = TierKind::kDram;
    info_.slots = slots;
    info_.slot_bytes = slot_bytes;
    info_.segments = segments;
    info_.segment_bytes = slot_bytes / segments;
    info_.alignment = alignment;
    for (std::uint32_t s = 0; s < segments; ++s) {
      const std::uint64_t bytes = slots * info_.segment_bytes;
      runs_.emplace_back(static_cast<std::byte*>(::operator new (bytes, std::align_val_t{4096})));
      info_.ranges.push_back({runs_.back().get(), bytes});
    }
  }

  const TierInfo& info() const noexcept override { return info_; }
  Address address(Slot slot, std::uint32_t segment) const noexcept override {
    return {.space = AddressSpace::kHost, .pointer = runs_[segment].get() + slot.value * info_.segment_bytes};
  }

 private:
  struct Free {
    void operator()(std::byte* p) const noexcept { ::operator delete (p, std::align_val_t{4096}); }
  };
  std::vector<std::unique_ptr<std::byte, Free>> runs_;
  TierInfo info_;
};

// Whether io_uring may be used here; if not, `why` says what refuses it.
inline bool has_uring(std::string* why) {
  const Fd file(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const EventFd wake;
  QueueConfig config;
  config.wake = &wake;
  return open_uring_queue(file.get(), config, why).ok();
}

// What a tier of 64-token blocks of an unnamed model asks for.
inline VolumeConfig volume_config(std::uint64_t block_bytes, std::uint32_t slots, bool scratch = false) {
  VolumeConfig config;
  config.block_tokens = 64;
  config.layout = make_layout("test", block_bytes, config.block_tokens);
  config.model = "test";
  config.geometry = {block_bytes, slots, scratch};
  return config;
}

// A volume on `path`; a failure fails the test and returns null.
inline std::unique_ptr<Volume> open_volume(const std::string& path, const VolumeConfig& config) {
  std::string why;
  auto medium = FileMedium::open({.path = path, .require_direct = false}, &why);
  EXPECT_TRUE(medium.ok()) << why;
  if (!medium.ok()) return nullptr;
  const auto content = examine(**medium, config, &why);
  EXPECT_TRUE(content.ok()) << why;
  if (!content.ok() || !(*medium)->reserve(config.geometry.bytes(), false, &why).ok()) return nullptr;
  auto volume = Volume::open(std::move(medium).value(), config, *content, &why);
  EXPECT_TRUE(volume.ok()) << why;
  return volume.ok() ? std::move(volume).value() : nullptr;
}

// A tier on `path` with room for `slots` blocks; a failure fails the test and returns null.
inline std::unique_ptr<NvmeTier> open_tier(const std::string& path, std::uint64_t block_bytes,
                                           std::uint32_t slots, const LinkSettings& links = {},
                                           bool scratch = false) {
  std::vector<std::unique_ptr<Volume>> volumes;
  volumes.push_back(open_volume(path, volume_config(block_bytes, slots, scratch)));
  if (volumes.front() == nullptr) return nullptr;
  return std::make_unique<NvmeTier>("nvme", std::move(volumes), links);
}

// A failure fails the test and returns null.
inline std::unique_ptr<Link> open_link(const Tier& from, const Tier& to) {
  std::string why;
  auto link = kNvmeLink.connect({.from = from, .to = to, .clock = {}}, &why);
  EXPECT_TRUE(link.ok()) << why;
  return link.ok() ? std::move(link).value() : nullptr;
}

}  // namespace kelvin::nvme

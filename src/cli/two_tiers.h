// Two tiers of a config alone, on scratch space, with a chain of blocks that goes back and forth between
// them.
//
// Nothing that the config names is written to: a tier with a file gets a file of its own beside it, which is
// gone with this object; a tier in adopted memory gets host memory instead.
//
// Thread contract: one thread at a time.
// Invariants:
//   1. A path that is there already and is no regular file (a device) is refused, never opened.
//   2. A scratch file lies on the drive of the file it stands for, under a name that nothing had before.
//   3. The space ends before its scratch files do.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kelvin/space.h"

namespace kelvin::cli {

// A file that is removed at the end, whatever happens.
class ScratchFile {
 public:
  // Nothing is made here: whoever opens the path does. Precondition: nothing is at `path` yet.
  explicit ScratchFile(std::string path) noexcept : path_(std::move(path)) {}
  ~ScratchFile();
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;

  const std::string& path() const noexcept { return path_; }

 private:
  const std::string path_;
};

class TwoTiers {
 public:
  static constexpr TierIndex kNear{0};
  static constexpr TierIndex kFar{1};

  // Tiers `near` and `far` (indices of config.tiers) with room for at most `bytes` of blocks each, less where
  // the config gives a tier less. On failure `why` (never null) says what is missing here.
  static Result<std::unique_ptr<TwoTiers>> open(const Config& config, std::size_t near, std::size_t far,
                                                std::uint64_t bytes, std::string* why);

  std::size_t blocks() const noexcept { return keys_.size(); }
  std::uint64_t block_bytes() const noexcept { return block_bytes_; }
  std::uint32_t depth(
      const std::string& link) const;  // copies at once on "from>to"; 0: there is no such link

  // The first `count` blocks into `tier`, from wherever they are.
  Status load(TierIndex tier, std::size_t count, std::string* why);
  // New bytes for all blocks in the near tier; they are nowhere else.
  Status publish(std::string* why);
  // All copies in `tier`; kNoTier: in both.
  Status drop(TierIndex tier, std::string* why);

 private:
  TwoTiers() = default;
  Status fill(TierIndex tier, std::string* why);
  Result<Lease> allocate(TierIndex tier, std::string* why);

  std::vector<std::unique_ptr<ScratchFile>> files_;
  std::map<std::string, std::uint32_t> depths_;
  std::unique_ptr<Space> space_;
  std::vector<BlockKey> keys_;
  std::uint64_t block_bytes_ = 0;
};

}  // namespace kelvin::cli

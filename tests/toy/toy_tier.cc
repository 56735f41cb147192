// See toy_tier.h.
#include "tests/toy/toy_tier.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include "tests/toy/toy.h"

namespace kelvin {

Result<std::unique_ptr<Tier>> ToyTier::open(const TierContext& context, const Options& options,
                                            std::string* why) {
  std::string path = options.text("folder") + "/kelvin-toy-XXXXXX";
  const int fd = ::mkostemp(path.data(), O_CLOEXEC);
  if (fd < 0) {
    *why = "tier '" + context.tier.name + "': cannot make a file in '" + options.text("folder") +
           "': set folder to one that this user may write to";
    return Status(Code::kIo, "making the toy tier's file", errno);
  }
  ::unlink(path.c_str());
  auto tier = std::unique_ptr<Tier>(new ToyTier(context, fd));
  if (const int error = ::posix_fallocate(fd, 0, static_cast<off_t>(context.tier.capacity_bytes))) {
    *why = "tier '" + context.tier.name + "': no room for its capacity in '" + options.text("folder") +
           "': lower capacity, or set another folder";
    return Status(Code::kFull, "reserving the toy tier's file", error);
  }
  return tier;
}

ToyTier::ToyTier(const TierContext& context, int fd) : fd_(fd) {
  info_.name = context.tier.name;
  info_.kind = TierKind::kNvme;  // of the kinds there are, the most like it
  info_.space = AddressSpace::kFile;
  info_.slot_bytes = context.space.block_bytes;
  info_.segment_bytes = context.space.block_bytes;
  info_.slots = static_cast<std::uint32_t>(context.tier.capacity_bytes / context.space.block_bytes);
}

ToyTier::~ToyTier() { ::close(fd_); }

Address ToyTier::address(Slot slot, std::uint32_t /*segment: there is one*/) const noexcept {
  return {.space = AddressSpace::kFile, .device = fd_, .offset = slot.value * info_.slot_bytes};
}

namespace {

constexpr std::array kKeys = {
    OptionSpec{.name = "folder", .fallback = "/tmp", .reason = "where the nameless file is made"},
};

}  // namespace

constinit const TierFactory kToyTier = {.kind = "toy", .options = kKeys, .open = &ToyTier::open};

}  // namespace kelvin

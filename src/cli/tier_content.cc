// See tier_content.h.
#include "cli/tier_content.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cstring>

#include "checksum/crc32c.h"
#include "cli/content.h"

namespace kelvin::cli {

bool TierContent::reaches(const TierInfo& info) noexcept {
  return info.space == AddressSpace::kHost || info.access != nullptr;
}

TierContent::TierContent(const TierInfo& info)
    : info_(info), right_(info.slot_bytes), found_(in_one_piece() ? 0 : info.slot_bytes) {
  assert(reaches(info));
}

Status TierContent::fill(const Lease& lease, std::span<const BlockKey> keys) {
  for (std::size_t i = 0; i < lease.size(); ++i) {
    if (in_one_piece()) {
      fill_content(keys[i], {lease.address(i).pointer, info_.slot_bytes});
      continue;
    }
    fill_content(keys[i], right_);
    if (in_place()) {
      scatter(lease, i);
    } else if (const Status status = info_.access->write(lease.slot(i), right_); !status.ok()) {
      return status;
    }
  }
  return {};
}

Status TierContent::check(const Lease& lease, std::span<const BlockKey> keys, const Wrong& wrong) {
  if (!in_place()) return check_sums(lease, keys, wrong);
  for (std::size_t i = 0; i < lease.size(); ++i) {
    if (!in_one_piece()) gather(lease, i);
    const std::span<const std::byte> block =
        in_one_piece() ? std::span<const std::byte>(lease.address(i).pointer, info_.slot_bytes) : found_;
    if (check_content(keys[i], block)) continue;
    fill_content(keys[i], right_);
    found_.assign(block.begin(), block.end());
    wrong(i, difference());
  }
  return {};
}

void TierContent::scatter(const Lease& lease, std::size_t i) const {
  for (std::uint32_t s = 0; s < info_.segments; ++s) {
    std::memcpy(lease.address(i, s).pointer, right_.data() + s * info_.segment_bytes, info_.segment_bytes);
  }
}

void TierContent::gather(const Lease& lease, std::size_t i) {
  for (std::uint32_t s = 0; s < info_.segments; ++s) {
    std::memcpy(found_.data() + s * info_.segment_bytes, lease.address(i, s).pointer, info_.segment_bytes);
  }
}

// Between right_ and found_; empty: there is none.
std::string TierContent::difference() const {
  const auto [right, found] = std::ranges::mismatch(right_, found_);
  if (right == right_.end()) return {};
  return fmt::format("wrong bytes, the first of them is byte {} of {}", right - right_.begin(),
                     right_.size());
}

Status TierContent::check_sums(const Lease& lease, std::span<const BlockKey> keys, const Wrong& wrong) {
  slots_.clear();
  for (std::size_t i = 0; i < lease.size(); ++i) slots_.push_back(lease.slot(i));
  sums_.resize(slots_.size());
  if (const Status status = info_.access->checksums(slots_, sums_); !status.ok()) return status;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    fill_content(keys[i], right_);
    if (crc32c(right_.data(), right_.size()) == sums_[i]) continue;
    const auto what = look_at(slots_[i]);
    if (!what.ok()) return what.status();
    wrong(i, *what);
  }
  return {};
}

// What is wrong with a slot that should hold right_ and has another checksum.
Result<std::string> TierContent::look_at(Slot slot) {
  if (const Status status = info_.access->read(slot, found_); !status.ok()) return status;
  std::string what = difference();
  if (what.empty())
    what = "a wrong checksum on the device, of bytes that were right when they were read back";
  return what;
}

}  // namespace kelvin::cli

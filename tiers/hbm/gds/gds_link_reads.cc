// GdsLink: the reads of a copy, and what their failures say of the drive and of the device.
#include <algorithm>

#include "tiers/hbm/gds/gds_link.h"

namespace kelvin::hbm {

std::uint32_t GdsLink::file_of(Slot from) const noexcept {
  const int descriptor = info_.from->address(from, 0).device;
  const auto found = std::ranges::find(files_, descriptor, &File::descriptor);
  return static_cast<std::uint32_t>(found - files_.begin());
}

// Once round: what cannot set out waits on, in its order.
void GdsLink::pump() noexcept {
  for (std::size_t left = waiting_.size(); left > 0; --left) {
    const std::uint32_t id = waiting_.pop();
    if (!begin(id)) waiting_.push(id);
  }
}

// False: the engine's work on the target is not over.
bool GdsLink::begin(std::uint32_t id) noexcept {
  Operation& operation = operations_[id];
  if (to_.streams().open_mark({&operation.copy.to, 1}) != 0) return false;
  if (files_[operation.file].lost && isolates(operation.file)) {
    fail(operation, {Code::kUnavailable, "copying a block by GPUDirect Storage: its drive is lost"},
         Side::kFrom);
    confine(operation);
    finished_.push(id);
    return true;
  }
  list_reads(id);
  operation.reads = static_cast<std::uint32_t>(reads_.size());
  files_[operation.file].reads->submit(reads_);
  return true;
}

// One for each run of the target.
void GdsLink::list_reads(std::uint32_t id) noexcept {
  const Copy& copy = operations_[id].copy;
  const std::uint64_t bytes = to_.info().segment_bytes;
  std::uint64_t offset = info_.from->address(copy.from, 0).offset;
  reads_.clear();
  for (std::uint32_t segment = 0; segment < to_.info().segments; ++segment, offset += bytes) {
    std::byte* const at = to_.address(copy.to, segment).pointer;
    if (!reads_.empty() && reads_.back().to.at + reads_.back().bytes == at) {
      reads_.back().bytes += bytes;
    } else {
      reads_.push_back({id, offset, bytes, {registered_ != nullptr ? registered_ : at, at}});
    }
  }
}

void GdsLink::collect(File& file) noexcept {
  std::size_t n = 0;
  do {
    n = file.reads->reap(ends_);
    for (const FileReadEnd& end : std::span(ends_).first(n)) {
      Operation& operation = operations_[end.tag];
      if (!end.status.ok()) fail(operation, end.status, Side::kFrom);
      if (--operation.reads == 0) bytes_ended(end.tag);
    }
  } while (n == ends_.size());
}

void GdsLink::bytes_ended(std::uint32_t id) noexcept {
  Operation& operation = operations_[id];
  if (operation.status.ok()) {
    files_[operation.file].failures = 0;
    (operation.copy.checksum ? landed_ : finished_).push(id);
    return;
  }
  if (operation.status.code() != Code::kCanceled) note_failure(operation);
  finished_.push(id);
}

// The device's, if it is lost, else the drive's.
void GdsLink::note_failure(Operation& operation) noexcept {
  if (const Status device = device_.passed(0); device.code() == Code::kUnavailable) {
    operation.status = device;
    operation.failed = Side::kTo;
    return;
  }
  File& file = files_[operation.file];
  if (operation.status.code() == Code::kUnavailable || ++file.failures >= kFailures) file.lost = true;
  confine(operation);
}

// The drive of this copy has failed, those of other slots have not.
void GdsLink::confine(Operation& operation) const noexcept {
  if (!isolates(operation.file)) return;
  operation.status = Status(Code::kIo, operation.status.context(), operation.status.native());
  operation.slot_only = true;
}

bool GdsLink::isolates(std::uint32_t file) const noexcept {
  for (std::uint32_t i = 0; i < files_.size(); ++i) {
    if (i != file && !files_[i].lost) return true;
  }
  return false;
}

}  // namespace kelvin::hbm

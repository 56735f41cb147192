// See gds_link.h and gds.h.
#include "tiers/hbm/gds/gds_link.h"

#include <fcntl.h>

#include <algorithm>
#include <cassert>
#include <exception>
#include <new>
#include <thread>
#include <utility>

#include "base/format_text.h"
#include "tiers/hbm/gds/gds.h"
#include "tiers/hbm/pieces.h"

namespace kelvin::hbm {
namespace {

constexpr const char* kJoining = "joining files and a device by GPUDirect Storage";
// A run of a slot is a read of its own; the drive's own link reads a block of many in one.
constexpr std::uint64_t kShortestRun = 64 << 10;

// First guesses, of one Gen4 drive; the mover measures the real ones.
constexpr std::uint64_t kLatencyNs = 100'000;
constexpr std::uint64_t kBytesPerSecond = 3'000'000'000;

Status refuse(std::string text, std::string* why) {
  *why = std::move(text);
  return {Code::kUnsupported, kJoining};
}

std::vector<Extent> runs_of(const Tier& tier) {
  std::vector<Extent> runs;
  runs.reserve(tier.info().segments);
  add_extents(tier, Slot(0), runs);
  return runs;
}

Status check_target(const HbmTier& to, std::string* why) {
  const DeviceProperties& device = to.device().properties();
  if (!device.checksums) {
    return refuse(
        device.name + " makes no checksums, by which blocks from a drive are verified: " + device.lacks, why);
  }
  if (to.info().alignment % kPageBytes != 0 || to.info().segment_bytes % kPageBytes != 0) {
    return refuse(format_text("its slots do not lie at multiples of {} bytes: choose segments of whole pages",
                              kPageBytes),
                  why);
  }
  const auto runs = runs_of(to);
  const std::uint64_t shortest = std::ranges::min_element(runs, {}, &Extent::bytes)->bytes;
  if (to.settings().gds == Gds::kAuto && shortest < kShortestRun) {
    return refuse(
        format_text(
            "its slots lie in runs of {} bytes, each of which is a read: from {} on it is taken without "
            "gds = \"on\"",
            shortest, kShortestRun),
        why);
  }
  return {};
}

Status check_library(const CuFile& library, Gds wish, std::string* why) {
  if (library.direct() || wish == Gds::kOn) return {};
  return refuse(
      "cuFile has but its compatibility mode here, which copies through host memory: load nvidia-fs, or have "
      "PCI peer-to-peer used (see gdscheck -p)",
      why);
}

// Calls f on a thread that is turned to the device.
template <class F>
Status on_device(Device& device, F&& f) noexcept {
  Status status(Code::kFull, kJoining);  // no thread, or no memory
  const auto call = [&]() noexcept {
    try {
      status = device.enter_thread();
      if (status.ok()) status = f();
    } catch (const std::bad_alloc&) {
      status = {Code::kFull, kJoining};
    }
  };
  try {
    std::thread(call).join();
  } catch (const std::exception&) {
  }
  return status;
}

}  // namespace

Result<std::unique_ptr<Link>> GdsLink::connect(const LinkContext& context, Find find, std::string* why) {
  const HbmTier* const to = HbmTier::of(context.to);
  const TierInfo& from = context.from.info();
  if (to == nullptr || from.space != AddressSpace::kFile || from.slot_bytes != to->info().slot_bytes)
    return std::unique_ptr<Link>();
  const Gds wish = to->settings().gds;
  // Nothing is gained on a device that is host memory.
  if (wish == Gds::kOff || (wish == Gds::kAuto && to->device().properties().emulated))
    return std::unique_ptr<Link>();
  auto made = make(context, *to, find, why);
  if (made.ok()) return made;
  if (why->empty()) *why = made.status().message();
  if (wish == Gds::kAuto) {
    *why = "not by GPUDirect Storage: " + *why;
    return std::unique_ptr<Link>();
  }
  *why = format_text(
      "link '{}>{}' by GPUDirect Storage, as gds = \"on\" asks: {}; gds = \"auto\" goes on without",
      from.name, to->info().name, *why);
  return made.status();
}

Result<std::unique_ptr<Link>> GdsLink::make(const LinkContext& context, const HbmTier& to, Find find,
                                            std::string* why) {
  if (const Status s = check_target(to, why); !s.ok()) return s;
  auto library = find(why);
  if (!library.ok()) return library.status();
  if (const Status s = check_library(**library, to.settings().gds, why); !s.ok()) return s;
  std::unique_ptr<GdsLink> link(new GdsLink(context, to, **library));
  std::string remark = "by GPUDirect Storage";
  if (const std::string version = (*library)->version(); !version.empty())
    remark += " (cuFile " + version + ")";
  if (!(*library)->direct()) remark += ", in its compatibility mode: through host memory";
  if (const Status s = link->open(why, &remark); !s.ok()) return s;
  *why = std::move(remark);
  return std::unique_ptr<Link>(std::move(link));
}

GdsLink::GdsLink(const LinkContext& context, const HbmTier& to, CuFile& library)
    : to_(to), device_(to.device()), library_(library) {
  info_.from = &context.from;
  info_.to = &context.to;
}

GdsLink::~GdsLink() {
  for (File& file : files_) file.reads.reset();  // waits for the drives
  queue_.reset();                                // waits for the device
  for (; !sums_.empty(); sums_.pop()) device_.give_back(sums_.front().record);
  const auto release = [this]() noexcept -> Status {
    if (registered_ != nullptr) library_.release_memory(registered_);
    for (const File& file : files_) {
      if (file.handle != nullptr) library_.release_file(file.descriptor);
    }
    return {};
  };
  // Without a thread, or on a lost device: the library's list must be true all the same.
  if (!on_device(device_, release).ok()) static_cast<void>(release());
}

Status GdsLink::open(std::string* why, std::string* remark) {
  if (const Status s = find_files(why); !s.ok()) return s;
  if (const Status s = acquire(why, remark); !s.ok()) return s;
  describe();
  const auto runs = static_cast<std::uint32_t>(runs_of(to_).size());
  for (File& file : files_) {
    auto reads = FileReads::open(library_, device_, file.handle, info_.depth * runs, why);
    if (!reads.ok()) return reads.status();
    file.reads = std::move(*reads);
  }
  auto sums = Pinned::make(device_, info_.depth * sizeof(std::uint32_t), why);
  if (!sums.ok()) return sums.status();
  sum_memory_ = std::move(*sums);
  auto queue = device_.open_queue(why);
  if (!queue.ok()) return queue.status();
  queue_ = std::move(*queue);
  operations_.resize(info_.depth);
  reads_.reserve(runs);
  extents_.reserve(to_.info().segments);
  free_ = numbered(info_.depth);
  waiting_ = landed_ = finished_ = Fifo<std::uint32_t>(info_.depth);
  sums_ = Fifo<Group>(info_.depth);
  return {};
}

// The files that slots lie in: a volume each.
Status GdsLink::find_files(std::string* why) {
  const Tier& from = *info_.from;
  for (std::uint32_t slot = 0; slot < from.info().slots; ++slot) {
    const Address at = from.address(Slot(slot), 0);
    if (at.device < 0) {
      return refuse("a volume of tier '" + from.info().name +
                        "' is an NVMe character device, which cuFile does not read: name the block device",
                    why);
    }
    if (std::ranges::any_of(files_, [&](const File& file) { return file.descriptor == at.device; })) continue;
    const int flags = ::fcntl(at.device, F_GETFL);  // NOLINT(*-vararg)
    if (flags < 0 || (flags & O_DIRECT) == 0 || at.offset % kPageBytes != 0) {
      return refuse("a volume of tier '" + from.info().name +
                        "' goes through the page cache: put it on a drive, with direct = \"on\"",
                    why);
    }
    files_.emplace_back().descriptor = at.device;
  }
  return {};
}

Status GdsLink::acquire(std::string* why, std::string* remark) {
  return on_device(device_, [&]() -> Status {
    for (File& file : files_) {
      auto handle = library_.acquire_file(file.descriptor, why);
      if (!handle.ok()) return handle.status();
      file.handle = *handle;
    }
    const Memory* const memory = to_.own_memory();
    std::string lacks;
    if (memory == nullptr) {
      *remark += "; the engine's memory is not registered with it, which costs a copy within the GPU";
    } else if (library_.acquire_memory(memory->base(), memory->bytes(), &lacks).ok()) {
      registered_ = memory->base();
    } else {
      *remark += "; with a copy within the GPU: " + lacks;
    }
    return {};
  });
}

void GdsLink::describe() {
  const auto files = static_cast<std::uint32_t>(files_.size());
  info_.name = info_.from->info().name + ">" + info_.to->info().name;
  info_.depth = std::min(to_.settings().depth, kDepthOfFile * files);
  info_.latency_ns = kLatencyNs + to_.info().slot_bytes * 1'000'000'000 / kBytesPerSecond;
  info_.bytes_per_second = kBytesPerSecond * files;
}

std::size_t GdsLink::submit(std::span<const Copy> copies) noexcept {
  const std::size_t taken = std::min(copies.size(), free_.size());
  for (const Copy& copy : copies.first(taken)) {
    assert(copy.from.value < info_.from->info().slots && copy.to.value < info_.to->info().slots);
    const std::uint32_t id = free_.pop();
    operations_[id] = {};
    operations_[id].copy = copy;
    operations_[id].file = file_of(copy.from);
    waiting_.push(id);
  }
  pump();
  return taken;
}

std::size_t GdsLink::poll(std::span<Completion> done) noexcept {
  for (File& file : files_) collect(file);
  pump();
  put_sums();
  collect_sums();
  std::size_t count = 0;
  while (count < done.size() && !finished_.empty()) {
    const std::uint32_t id = finished_.pop();
    const Operation& operation = operations_[id];
    const bool summed = operation.status.ok() && operation.copy.checksum;
    done[count++] = {operation.copy.tag, operation.status, summed ? *sum_of(id) : 0, operation.slot_only,
                     operation.failed};
    free_.push(id);
  }
  return count;
}

// What a drive has in hand is not to be had back; it is bounded by the depth.
void GdsLink::cancel_all() noexcept {
  while (!waiting_.empty()) {
    const std::uint32_t id = waiting_.pop();
    fail(operations_[id], {Code::kCanceled, "copying a block by GPUDirect Storage"}, Side::kUnknown);
    finished_.push(id);
  }
  for (File& file : files_) file.reads->cancel();
}

// The checksums of what has landed, and one record behind them.
void GdsLink::put_sums() noexcept {
  while (!landed_.empty()) {
    const std::uint32_t id = landed_.front();
    extents_.clear();
    add_extents(to_, operations_[id].copy.to, extents_);
    const Status status = queue_->checksum(extents_, sum_of(id));
    if (status.code() == Code::kBusy) break;
    // Something may be under way all the same: the record tells when it is over.
    if (!status.ok()) {
      const bool gone = status.code() == Code::kUnavailable;
      fail(operations_[id], {gone ? Code::kUnavailable : Code::kIo, status.context(), status.native()},
           Side::kTo);
    }
    landed_.pop();
    operations_[id].next = std::exchange(putting_.first, id);
  }
  if (putting_.first == kNone) return;
  const auto record = queue_->record();
  if (record.ok()) {
    putting_.record = *record;
    sums_.push(std::exchange(putting_, {}));
  } else if (record.status().code() == Code::kUnavailable) {
    finish_group(std::exchange(putting_, {}), record.status());
  }
}

void GdsLink::collect_sums() noexcept {
  while (!sums_.empty()) {
    const Status status = device_.passed(sums_.front().record);
    // Anything but the loss of the device leaves open whether it is done.
    if (!status.ok() && status.code() != Code::kUnavailable) return;
    device_.give_back(sums_.front().record);
    finish_group(sums_.pop(), status);
  }
}

void GdsLink::finish_group(const Group& group, const Status& status) noexcept {
  for (std::uint32_t id = group.first; id != kNone; id = operations_[id].next) {
    if (!status.ok()) fail(operations_[id], status, Side::kTo);
    finished_.push(id);
  }
}

namespace {

Result<std::unique_ptr<Link>> connect_gds(const LinkContext& context, std::string* why) {
  try {
    return GdsLink::connect(context, open_cufile, why);
  } catch (const std::bad_alloc&) {
    return Status(Code::kFull, kJoining);
  }
}

}  // namespace
}  // namespace kelvin::hbm

namespace kelvin {

constinit const LinkFactory kGdsLink = {"gds", hbm::connect_gds};

}  // namespace kelvin

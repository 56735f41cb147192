// See nvme_link.h and nvme.h.
#include "tiers/nvme/nvme_link.h"

#include <algorithm>
#include <new>
#include <utility>

#include "tiers/nvme/errors.h"
#include "tiers/nvme/nvme.h"

namespace kelvin::nvme {
namespace {

// First guesses, of one Gen4 drive; the mover measures the real ones.
constexpr std::uint64_t kLatencyNs = 100'000;
constexpr std::uint64_t kBytesPerSecond = 3'000'000'000;

// Whether `host` is memory that the drives can reach directly.
bool joins(const NvmeTier& drives, const TierInfo& host) {
  if (host.space != AddressSpace::kHost || host.slot_bytes != drives.info().slot_bytes) return false;
  return !drives.direct() || (host.alignment % kPageBytes == 0 && host.segment_bytes % kPageBytes == 0);
}

LinkInfo describe(const Tier& from, const Tier& to, const NvmeTier& drives) {
  const auto volumes = static_cast<std::uint32_t>(drives.volume_count());
  const std::uint32_t depth = drives.links().depth;
  LinkInfo info;
  info.name = from.info().name + ">" + to.info().name;
  info.from = &from;
  info.to = &to;
  info.depth = operations_for(depth, &to == &drives && drives.info().ledger != nullptr) * volumes;
  info.latency_ns = kLatencyNs + drives.info().slot_bytes * 1'000'000'000 / kBytesPerSecond;
  info.bytes_per_second = kBytesPerSecond * volumes;
  return info;
}

// The device of these copies has failed, those of other slots have not.
void confine(std::span<Completion> done) noexcept {
  for (Completion& completion : done) {
    const Code code = completion.status.code();
    if (code != Code::kUnavailable && code != Code::kIo) continue;
    completion.status = Status(Code::kIo, completion.status.context(), completion.status.native());
    completion.slot_only = true;
  }
}

}  // namespace

Result<std::unique_ptr<Link>> NvmeLink::connect(const LinkContext& context, std::string* why) {
  const auto* from = NvmeTier::of(context.from);
  const auto* to = NvmeTier::of(context.to);
  const NvmeTier* drives = from != nullptr ? from : to;
  const Tier& host = from != nullptr ? context.to : context.from;
  // The host's address space tells of a second nvme tier as well.
  if (drives == nullptr || !joins(*drives, host.info())) return std::unique_ptr<Link>();
  try {
    auto link = std::make_unique<NvmeLink>(context.from, context.to, *drives);
    if (const Status s = link->open(context.single_issuer, why); !s.ok()) return s;
    return std::unique_ptr<Link>(std::move(link));
  } catch (const std::bad_alloc&) {
    *why = "not enough memory for the queues of " + context.from.info().name + ">" + context.to.info().name;
    return Status(Code::kFull, "opening an nvme link");
  }
}

NvmeLink::NvmeLink(const Tier& from, const Tier& to, const NvmeTier& drives)
    : drives_(drives),
      host_(&from == &drives ? to : from),
      writes_(&to == &drives),
      info_(describe(from, to, drives)) {}

Status NvmeLink::open(bool single_issuer, std::string* why) {
  if (wake_.fd() < 0) return no_event_fd(why);
  if (!drives_.links().poll) info_.wake_fd = wake_.fd();
  LaneConfig config;
  config.writes = writes_;
  config.operations = info_.depth;  // all of them may be for one volume
  config.depth = drives_.links().depth;
  config.latency_ns = drives_.links().latency_ns;
  config.request_bytes = drives_.links().request_bytes;
  config.queue = drives_.links().queue;
  config.single_issuer = single_issuer;
  config.poll = drives_.links().poll;
  config.give_up = drives_.volume_count() > 1;
  config.wake = &wake_;
  for (std::size_t i = 0; i < drives_.volume_count(); ++i) {
    lanes_.push_back(std::make_unique<Lane>(drives_.volume(i), host_, config));
    if (const Status s = lanes_.back()->open(why); !s.ok()) return s;
  }
  return {};
}

std::size_t NvmeLink::submit(std::span<const Copy> copies) noexcept {
  std::size_t taken = 0;
  for (; taken < copies.size(); ++taken) {
    const NvmeTier::Place at = drives_.place(writes_ ? copies[taken].to : copies[taken].from);
    if (!lanes_[at.volume]->submit(copies[taken], at.slot)) break;
  }
  for (const auto& lane : lanes_) lane->pump();
  wake_for_reports();  // of a lost volume, which no queue announces
  return taken;
}

std::size_t NvmeLink::poll(std::span<Completion> done) noexcept {
  wake_.drain();
  for (const auto& lane : lanes_) {
    lane->collect();
    lane->pump();
  }
  std::size_t reported = 0;
  first_ = (first_ + 1) % lanes_.size();
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    const std::size_t lane = (first_ + i) % lanes_.size();
    const std::size_t n = lanes_[lane]->report(done.subspan(reported));
    if (drives_.isolates(lane)) confine(done.subspan(reported, n));
    reported += n;
  }
  wake_for_reports();
  return reported;
}

void NvmeLink::cancel_all() noexcept {
  for (const auto& lane : lanes_) lane->cancel_all();
  wake_for_reports();
}

void NvmeLink::wake_for_reports() const noexcept {
  if (std::ranges::any_of(lanes_, [](const auto& lane) { return lane->has_reports(); })) wake_.signal();
}

}  // namespace kelvin::nvme

namespace kelvin {

constexpr LinkFactory kNvmeLink = {"nvme", &nvme::NvmeLink::connect};

}  // namespace kelvin

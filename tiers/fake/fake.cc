// See fake.h.
#include "tiers/fake/fake.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "checksum/crc32c.h"

namespace kelvin {

Result<std::unique_ptr<FakeTier>> FakeTier::open(const TierContext& context, const FakeSpeed& speed,
                                                 Script script, std::string* why, FakeShape shape) {
  const std::uint64_t block = context.space.block_bytes;
  const std::uint64_t slots = context.tier.capacity_bytes / block;
  if (slots == 0 || slots >= Slot::kNone) {
    *why = "tier '" + context.tier.name + "': capacity holds " + std::to_string(slots) + " blocks of " +
           std::to_string(block) + " bytes; give it at least one and fewer than 2^32 - 1";
    return Status(Code::kInvalid, "opening a fake tier");
  }
  if (shape.segments == 0 || block % shape.segments != 0) {
    *why = "tier '" + context.tier.name + "': a block of " + std::to_string(block) +
           " bytes does not divide into " + std::to_string(shape.segments) + " segments; choose a divisor";
    return Status(Code::kInvalid, "opening a fake tier");
  }
  auto bytes = HugeArray<std::byte>::make(slots * block);
  if (!bytes.ok()) {
    *why =
        "tier '" + context.tier.name + "': no address space for " + std::to_string(slots * block) + " bytes";
    return bytes.status();
  }
  std::unique_ptr<FakeTier> tier(new FakeTier);
  tier->bytes_ = std::move(bytes).value();
  tier->speed_ = speed;
  tier->script_ = std::move(script);
  tier->info_ = {.name = context.tier.name,
                 .kind = TierKind::kFake,
                 .slots = static_cast<std::uint32_t>(slots),
                 .slot_bytes = block,
                 .segments = shape.segments,
                 .segment_bytes = block / shape.segments,
                 .ranges = {}};
  if (shape.device) {
    tier->streams_ =
        std::make_unique<FakeStreams>(static_cast<std::uint32_t>(slots), context.space.max_leases);
    tier->info_.space = AddressSpace::kDevice;
    tier->info_.streams = tier->streams_.get();
  } else {
    tier->info_.ranges = {{tier->bytes_.data(), slots * block}};
  }
  return tier;
}

Address FakeTier::address(Slot slot, std::uint32_t segment) const noexcept {
  const std::uint64_t at = slot.value * info_.slot_bytes + segment * info_.segment_bytes;
  return {.space = info_.space,
          .device = info_.space == AddressSpace::kDevice ? 0 : -1,
          .pointer = const_cast<std::byte*>(bytes_.data()) + at};
}

// Null where the tier is no fake device.
static FakeStreams* streams_of(const Tier& tier) noexcept {
  const auto* fake = dynamic_cast<const FakeTier*>(&tier);
  return fake == nullptr ? nullptr : fake->streams();
}

FakeLink::FakeLink(const Tier& from, const Tier& to, FakeWay way, Clock clock)
    : from_streams_(streams_of(from)),
      to_streams_(streams_of(to)),
      script_(std::move(way.script)),
      clock_(std::move(clock)) {
  info_ = {.name = from.info().name + ">" + to.info().name,
           .from = &from,
           .to = &to,
           .depth = kDepth,
           .latency_ns = way.latency_ns,
           .bytes_per_second = way.bytes_per_second};
  flights_.reserve(kDepth);
}

std::size_t FakeLink::submit(std::span<const Copy> copies) noexcept {
  const std::size_t taken = std::min(copies.size(), kDepth - flights_.size());
  const std::uint64_t now = clock_();
  const auto bytes = static_cast<double>(info_.from->info().slot_bytes);
  const std::uint64_t transfer =
      info_.bytes_per_second == 0
          ? 0
          : static_cast<std::uint64_t>(bytes * 1e9 / static_cast<double>(info_.bytes_per_second));
  for (const Copy& copy : copies.first(taken)) {
    Flight flight{.copy = copy, .begun_ns = std::max(now, busy_until_ns_), .fault = script_.next()};
    busy_until_ns_ = flight.begun_ns + transfer;
    flight.ready_ns = busy_until_ns_ + info_.latency_ns;
    if (flight.fault == Fault::kLate) flight.ready_ns += 20 * (transfer + info_.latency_ns + 1);
    gone_ = gone_ || flight.fault == Fault::kGone;
    flights_.push_back(flight);
  }
  return taken;
}

std::size_t FakeLink::poll(std::span<Completion> done) noexcept {
  const std::uint64_t now = clock_();
  std::size_t count = 0;
  for (Flight& flight : flights_) arrive(flight, now);
  while (count < done.size()) {
    auto first = flights_.end();
    for (auto flight = flights_.begin(); flight != flights_.end(); ++flight) {
      const bool sooner = first == flights_.end() || flight->ready_ns < first->ready_ns;
      if (sooner && may_land(*flight, now)) first = flight;
    }
    if (first == flights_.end()) break;
    done[count++] = land(*first);
    flights_.erase(first);
  }
  return count;
}

// A device that is lost does nothing any more: what it had in hand is over.
bool FakeLink::may_land(const Flight& flight, std::uint64_t now) const noexcept {
  if (flight.ends) return true;
  return flight.fault != Fault::kStuck && flight.ready_ns <= now && !follows(flight);
}

bool FakeLink::follows(const Flight& flight) const noexcept {
  return (from_streams_ != nullptr && from_streams_->open_mark({&flight.copy.from, 1}) != 0) ||
         (to_streams_ != nullptr && to_streams_->open_mark({&flight.copy.to, 1}) != 0);
}

// As many segments as time has passed of the copy's own.
void FakeLink::arrive(Flight& flight, std::uint64_t now) const noexcept {
  if (flight.copy.arrived == nullptr || flight.fault == Fault::kStuck || flight.ends || gone_) return;
  if (now <= flight.begun_ns) return;
  const std::uint64_t whole = std::max<std::uint64_t>(1, flight.ready_ns - flight.begun_ns);
  const std::uint64_t part = std::min(whole, now - flight.begun_ns);
  const auto due = static_cast<std::uint32_t>(segments() * part / whole);
  if (flight.arrived >= due || follows(flight)) return;
  std::uint32_t unused = 0;
  while (flight.arrived < due) carry_segment(flight.copy, flight.arrived++, &unused);
  flight.copy.arrived->store(due, std::memory_order_release);
}

// What is stuck lands at once, and everything else as it would have.
void FakeLink::cancel_all() noexcept {
  for (Flight& flight : flights_) flight.ends = true;
}

Completion FakeLink::land(const Flight& flight) noexcept {
  Completion completion{flight.copy.tag, Status(), 0};
  const bool lost =
      (from_streams_ != nullptr && from_streams_->lost()) || (to_streams_ != nullptr && to_streams_->lost());
  if (flight.ends) {
    completion.status = Status(Code::kCanceled, "copying over a fake link");
  } else if (gone_ || lost) {
    completion.status = Status(Code::kUnavailable, "copying over a fake link", ENODEV);
  } else if (flight.fault == Fault::kError || flight.fault == Fault::kShort) {
    if (flight.fault == Fault::kShort) carry_out_half(flight.copy);
    completion.status = Status(Code::kIo, "copying over a fake link", EIO);
  } else if (flight.fault == Fault::kFull) {
    completion.status = Status(Code::kFull, "copying over a fake link", ENOSPC);
  } else {
    carry_out(flight.copy, &completion.checksum);
    if (flight.fault == Fault::kCorrupt) {
      *info_.to->address(flight.copy.to, 0).pointer ^= std::byte{0x10};
      completion.checksum ^= 0x10;
    }
  }
  return completion;
}

void FakeLink::carry_out_half(const Copy& copy) const noexcept {
  const std::uint64_t bytes = std::min(info_.from->info().segment_bytes, info_.to->info().segment_bytes);
  std::memcpy(info_.to->address(copy.to, 0).pointer, info_.from->address(copy.from, 0).pointer, bytes / 2);
}

// At most one side has segments, or both have as many.
std::uint32_t FakeLink::segments() const noexcept {
  return std::max(info_.from->info().segments, info_.to->info().segments);
}

void FakeLink::carry_out(const Copy& copy, std::uint32_t* checksum) const noexcept {
  for (std::uint32_t s = 0; s < segments(); ++s) carry_segment(copy, s, checksum);
}

void FakeLink::carry_segment(const Copy& copy, std::uint32_t segment,
                             std::uint32_t* checksum) const noexcept {
  const TierInfo& from = info_.from->info();
  const TierInfo& to = info_.to->info();
  const std::uint64_t bytes = from.slot_bytes / segments();
  const bool whole_from = from.segments == 1;
  const bool whole_to = to.segments == 1;
  const std::byte* source = info_.from->address(copy.from, whole_from ? 0 : segment).pointer;
  std::byte* target = info_.to->address(copy.to, whole_to ? 0 : segment).pointer;
  if (whole_from) source += segment * bytes;
  if (whole_to) target += segment * bytes;
  *checksum = copy_crc32c(target, source, bytes, *checksum);
}

namespace {

constexpr std::array kOptions = {
    OptionSpec{.name = "latency",
               .type = OptionType::kDuration,
               .fallback = "0us",
               .reason = "of one copy over a link to or from this tier"},
    OptionSpec{.name = "bandwidth",
               .type = OptionType::kBytes,
               .fallback = "0",
               .reason = "bytes a second read from it, on each of its links; 0 = no limit"},
    OptionSpec{.name = "write_bandwidth",
               .type = OptionType::kBytes,
               .fallback = "0",
               .reason = "bytes a second written to it, on each of its links; 0 = as bandwidth"},
    OptionSpec{.name = "faults",
               .type = OptionType::kText,
               .fallback = "none",
               .reason = "faults by number of the copy, such as \"error@3 corrupt/10\"; none = no faults"},
    OptionSpec{.name = "segments",
               .type = OptionType::kInteger,
               .fallback = "1",
               .reason = "pieces that a slot consists of",
               .min = 1,
               .max = 4096},
    OptionSpec{.name = "device",
               .type = OptionType::kBoolean,
               .fallback = "false",
               .reason = "whether it poses as a device with streams, whose memory the host cannot address"},
};

Result<std::unique_ptr<Tier>> open_fake(const TierContext& context, const Options& options,
                                        std::string* why) {
  const std::string faults = options.text("faults");
  auto script = Script::parse(faults == "none" ? "" : faults, why);
  if (!script.ok()) return script.status();
  FakeSpeed speed{options.duration_ns("latency"), options.bytes("bandwidth"),
                  options.bytes("write_bandwidth")};
  if (speed.write_bytes_per_second == 0) speed.write_bytes_per_second = speed.read_bytes_per_second;
  const FakeShape shape{static_cast<std::uint32_t>(options.integer("segments")), options.boolean("device")};
  auto tier = FakeTier::open(context, speed, std::move(script).value(), why, shape);
  if (!tier.ok()) return tier.status();
  return std::unique_ptr<Tier>(std::move(tier).value());
}

// Of two limits the lower one; 0 is none.
std::uint64_t slower_of(std::uint64_t a, std::uint64_t b) { return a == 0 || (b != 0 && b < a) ? b : a; }

FakeWay way_between(const FakeTier* from, const FakeTier* to) {
  const FakeSpeed read = from == nullptr ? FakeSpeed{} : from->speed();
  const FakeSpeed write = to == nullptr ? FakeSpeed{} : to->speed();
  const bool to_is_slower = from == nullptr || (to != nullptr && write.latency_ns > read.latency_ns);
  return {std::max(read.latency_ns, write.latency_ns),
          slower_of(read.read_bytes_per_second, write.write_bytes_per_second),
          (to_is_slower ? to : from)->script()};
}

Result<std::unique_ptr<Link>> connect_fake(const LinkContext& context, std::string* /*why*/) {
  const auto* from = dynamic_cast<const FakeTier*>(&context.from);
  const auto* to = dynamic_cast<const FakeTier*>(&context.to);
  const TierInfo& a = context.from.info();
  const TierInfo& b = context.to.info();
  const bool reaches_from = from != nullptr || a.space == AddressSpace::kHost;
  const bool reaches_to = to != nullptr || b.space == AddressSpace::kHost;
  const bool fits = a.segments == 1 || b.segments == 1 || a.segments == b.segments;
  if (!reaches_from || !reaches_to || !fits || (from == nullptr && to == nullptr))
    return std::unique_ptr<Link>();
  return std::unique_ptr<Link>(
      std::make_unique<FakeLink>(context.from, context.to, way_between(from, to), context.clock));
}

}  // namespace

const TierFactory kFakeTier = {"fake", kOptions, open_fake};
const LinkFactory kFakeLink = {"fake", connect_fake};

}  // namespace kelvin

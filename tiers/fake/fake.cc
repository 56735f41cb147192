// See fake.h.
#include "tiers/fake/fake.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "checksum/crc32c.h"

namespace kelvin {

Result<std::unique_ptr<FakeTier>> FakeTier::open(const TierContext& context, const FakeSpeed& speed,
                                                 Script script, std::string* why) {
  const std::uint64_t block = context.space.block_bytes;
  const std::uint64_t slots = context.tier.capacity_bytes / block;
  if (slots == 0 || slots >= Slot::kNone) {
    *why = "tier '" + context.tier.name + "': capacity holds " + std::to_string(slots) + " blocks of " +
           std::to_string(block) + " bytes; give it at least one and fewer than 2^32 - 1";
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
                 .segment_bytes = block,
                 .ranges = {{tier->bytes_.data(), slots * block}}};
  return tier;
}

Address FakeTier::address(Slot slot, std::uint32_t /*segment*/) const noexcept {
  return {.pointer = const_cast<std::byte*>(bytes_.data()) + slot.value * info_.slot_bytes};
}

FakeLink::FakeLink(const Tier& from, const Tier& to, FakeWay way, Clock clock)
    : script_(std::move(way.script)), clock_(std::move(clock)) {
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
    Flight flight{copy, 0, script_.next()};
    busy_until_ns_ = std::max(now, busy_until_ns_) + transfer;
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
  while (count < done.size()) {
    const auto first =
        std::min_element(flights_.begin(), flights_.end(), [](const Flight& a, const Flight& b) {
          return (a.fault == Fault::kStuck) != (b.fault == Fault::kStuck) ? b.fault == Fault::kStuck
                                                                          : a.ready_ns < b.ready_ns;
        });
    if (first == flights_.end() || first->fault == Fault::kStuck || first->ready_ns > now) break;
    done[count++] = land(*first);
    flights_.erase(first);
  }
  return count;
}

// What is stuck lands at once, and everything else as it would have.
void FakeLink::cancel_all() noexcept {
  for (Flight& flight : flights_) {
    flight.ready_ns = 0;
    flight.copy.from = Slot{};
    flight.fault = Fault::kNone;
  }
}

Completion FakeLink::land(const Flight& flight) noexcept {
  Completion completion{flight.copy.tag, Status(), 0};
  if (!flight.copy.from) {
    completion.status = Status(Code::kCanceled, "copying over a fake link");
  } else if (gone_) {
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

// At most one side has segments: one of them is a FakeTier, which has one.
void FakeLink::carry_out(const Copy& copy, std::uint32_t* checksum) const noexcept {
  const TierInfo& from = info_.from->info();
  const TierInfo& to = info_.to->info();
  const std::uint32_t segments = std::max(from.segments, to.segments);
  const std::uint64_t bytes = from.slot_bytes / segments;
  for (std::uint32_t s = 0; s < segments; ++s) {
    const std::byte* source = info_.from->address(copy.from, from.segments == 1 ? 0 : s).pointer;
    std::byte* target = info_.to->address(copy.to, to.segments == 1 ? 0 : s).pointer;
    if (from.segments != segments) source += s * bytes;
    if (to.segments != segments) target += s * bytes;
    *checksum = copy_crc32c(target, source, bytes, *checksum);
  }
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
};

Result<std::unique_ptr<Tier>> open_fake(const TierContext& context, const Options& options,
                                        std::string* why) {
  const std::string faults = options.text("faults");
  auto script = Script::parse(faults == "none" ? "" : faults, why);
  if (!script.ok()) return script.status();
  FakeSpeed speed{options.duration_ns("latency"), options.bytes("bandwidth"),
                  options.bytes("write_bandwidth")};
  if (speed.write_bytes_per_second == 0) speed.write_bytes_per_second = speed.read_bytes_per_second;
  auto tier = FakeTier::open(context, speed, std::move(script).value(), why);
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
  const bool host =
      context.from.info().space == AddressSpace::kHost && context.to.info().space == AddressSpace::kHost;
  if (!host || (from == nullptr && to == nullptr)) return std::unique_ptr<Link>();
  return std::unique_ptr<Link>(
      std::make_unique<FakeLink>(context.from, context.to, way_between(from, to), context.clock));
}

}  // namespace

const TierFactory kFakeTier = {"fake", kOptions, open_fake};
const LinkFactory kFakeLink = {"fake", connect_fake};

}  // namespace kelvin

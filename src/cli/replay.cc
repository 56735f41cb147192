// See replay.h.
#include "cli/replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <new>
#include <optional>
#include <span>
#include <utility>

#include "cli/interrupt.h"
#include "cli/trace_set.h"
#include "kelvin/hash.h"

namespace kelvin::cli {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kStart = 1;  // 0 would be before everything
constexpr TierIndex kCompute{0};
constexpr auto kPatience = 30s;      // for room in tier 0, before blocks are forgotten to make it
constexpr auto kTicketLimit = 120s;  // a ticket that takes longer is a bug worth a message
constexpr auto kSlice = 250ms;       // of that, between looks for an interrupt
constexpr auto kSave = std::chrono::seconds(60);
constexpr auto kSettle = 10s;
constexpr std::size_t kMaxFindings = 5;

using WallClock = std::chrono::steady_clock;

std::uint64_t ns_since(WallClock::time_point start) {
  const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(WallClock::now() - start).count();
  return static_cast<std::uint64_t>(ns);
}

Status failed(Status status, std::string_view what, std::string* why) {
  *why = fmt::format("{}: {}", what, status.message());
  return status;
}

}  // namespace

Result<std::unique_ptr<Replay>> Replay::open(const Config& config, const ReplayOptions& options,
                                             std::string* why, Parts parts) {
  // What happened at other times is replayed faster: policies see the ages that the trace tells of.
  auto time = std::make_unique<TraceTime>(kStart);
  if (!parts.event_clock) {
    parts.event_clock = [now = time.get()] { return now->load(std::memory_order_relaxed); };
  }
  auto space = Space::open(config, why, std::move(parts));
  if (!space.ok()) return space.status();
  const TierInfo& info = *(*space)->tier_info(kCompute);
  if (!TierContent::reaches(info)) {
    *why = fmt::format(
        "tier '{}' is first, where a replay writes and reads blocks, and its kind gives no way to do so: put "
        "a tier in host memory first, such as kind = \"dram\", or one in GPU memory",
        info.name);
    return Status(Code::kUnsupported, "starting a replay");
  }
  if (info.adopted) {
    *why = fmt::format(
        "tier '{}' is first, and its slots are an engine's to name: put a tier of another kind first",
        info.name);
    return Status(Code::kUnsupported, "starting a replay");
  }
  return std::unique_ptr<Replay>(new Replay(std::move(time), std::move(*space), config, options));
}

Replay::Replay(std::unique_ptr<TraceTime> time, std::unique_ptr<Space> space, const Config& config,
               const ReplayOptions& options)
    : options_(options),
      time_(std::move(time)),
      space_(std::move(space)),
      content_(*space_->tier_info(kCompute)),
      tenants_(config) {}

Hints Replay::hints_of(const Request& request, const BlockKey& root) const {
  Hints hints;
  if (request.session) hints.session = hint_session(*request.session, root);
  hints.output_tokens = request.output_tokens;
  hints.finish = request.finish;
  hints.tenant = tenant_;
  return hints;
}

bool Replay::ended() const noexcept {
  return result_.stopped || (options_.limit > 0 && result_.requests >= options_.limit);
}

Status Replay::run(TraceReader& reader, std::string_view salt, Progress& progress, std::string* why) {
  const BlockKey root = root_key(salt, space_->layout());
  tenant_ = tenant_id(salt);
  const auto start = WallClock::now();
  const std::uint64_t start_ns = time_->load(std::memory_order_relaxed);
  std::optional<std::uint64_t> first_ms;
  Status status;
  try {
    Request request;
    while (!ended()) {
      if (interrupted()) {
        result_.stopped = true;
        break;
      }
      auto more = reader.next(request, why);
      if (!more.ok()) status = more.status();
      if (!more.ok() || !*more) break;
      if (skipped_ < options_.skip) {
        ++skipped_;
        continue;
      }
      if (!first_ms) first_ms = request.timestamp_ms;
      pass_time(start_ns + (request.timestamp_ms - std::min(*first_ms, request.timestamp_ms)) * 1'000'000);
      status = serve(request, root, why);
      if (!status.ok()) break;
      if (progress.due()) show(reader, progress);
    }
  } catch (const std::bad_alloc&) {
    *why = "out of memory";
    status = {Code::kFull, "replaying a trace"};
  }
  result_.seconds += static_cast<double>(ns_since(start)) / 1e9;
  ++traces_done_;
  return status;
}

// Lines may be out of order; time is not.
void Replay::pass_time(std::uint64_t until_ns) noexcept {
  if (time_->load(std::memory_order_relaxed) < until_ns) time_->store(until_ns, std::memory_order_relaxed);
}

Status Replay::serve(const Request& request, const BlockKey& root, std::string* why) {
  name_keys(request, root);
  const Hints hints = hints_of(request, root);
  Lease prefix;
  if (Status status = acquire(hints, prefix, why); !status.ok()) return status;
  const std::size_t had = prefix.size();
  if (options_.verify) {
    if (Status status = verify(prefix, why); !status.ok()) return status;
  }

  Lease fresh;
  if (Status status = compute(hints, had, fresh, why); !status.ok()) return status;
  ++result_.requests;
  result_.referenced += chain_.size();
  result_.hit += had;
  tenants_.add(tenant_, chain_.size(), had);

  // Deepest blocks first: a policy sees the order, and a prefix must outlive what stands on it.
  if (fresh) {
    if (Status status = fresh.release(hints); !status.ok()) return failed(status, "release", why);
  }
  if (prefix) {
    if (Status status = prefix.release(hints); !status.ok()) return failed(status, "release", why);
  }
  return {};
}

void Replay::name_keys(const Request& request, const BlockKey& root) {
  chain_.clear();
  BlockKey parent = root;
  for (const std::uint64_t id : request.hash_ids) {
    const std::array<std::uint32_t, 2> tokens = {static_cast<std::uint32_t>(id),
                                                 static_cast<std::uint32_t>(id >> 32)};
    parent = chain_key(parent, tokens);
    chain_.push_back(parent);
  }
}

Status Replay::acquire(const Hints& hints, Lease& prefix, std::string* why) {
  if (chain_.empty()) return {};
  auto start = WallClock::now();
  const Match match = space_->match(chain_);
  result_.match_ns.add(ns_since(start));
  if (match.blocks == 0) return {};

  start = WallClock::now();
  AcquireOptions options;
  options.hints = hints;
  auto ticket = space_->acquire(chain_, kCompute, options);
  if (!ticket.ok()) return failed(ticket.status(), "acquire", why);
  if (const Status status = ticket->wait(kTicketLimit); status.code() == Code::kTimeout) {
    return failed(status, "acquire", why);
  }
  result_.acquire_ns.add(ns_since(start));
  prefix = ticket->take();
  if (prefix.size() < match.blocks) result_.lost += match.blocks - prefix.size();
  return {};
}

Status Replay::verify(const Lease& prefix, std::string* why) {
  const Status status = content_.check(prefix, chain_, [&](std::size_t i, const std::string& what) {
    ++result_.corrupt;
    if (result_.findings.size() >= kMaxFindings) return;
    result_.findings.push_back(
        fmt::format("request {}: block {} of its prompt, key {:016x}{:016x}, slot {}: {}",
                    result_.requests + 1, i, chain_[i].hi, chain_[i].lo, prefix.slot(i).value, what));
  });
  if (!status.ok()) return failed(status, "verify", why);
  result_.checked += prefix.size();
  return {};
}

// Plays the forward pass for the blocks from `first` on, as far as tier 0 has room.
Status Replay::compute(const Hints& hints, std::size_t first, Lease& fresh, std::string* why) {
  const std::size_t rest = chain_.size() - first;
  if (rest == 0) return {};
  if (Status status = allocate(rest, hints, fresh, why); !status.ok()) return status;
  const std::size_t made = fresh.size();
  if (Status status = content_.fill(fresh, std::span(chain_).subspan(first, made)); !status.ok()) {
    return failed(status, "computing blocks", why);
  }
  Status status;
  if (made > 0) {
    const auto start = WallClock::now();
    status = space_->publish(fresh, std::span(chain_).first(first + made), first, hints);
    result_.publish_ns.add(ns_since(start));
  }
  if (!status.ok() && status.code() != Code::kFull) return failed(status, "publish", why);
  const std::size_t published = status.ok() ? made : 0;
  result_.published += published;
  result_.unpublished += rest - published;
  return {};
}

// Leaves `fresh` with slots for as many of the chain's last blocks as the policy admits.
Status Replay::allocate(std::size_t wanted, const Hints& hints, Lease& fresh, std::string* why) {
  const auto deadline = WallClock::now() + kPatience;
  AllocateOptions options;
  options.when_full = WhenFull::kWait;
  options.timeout = kSlice;
  options.chain = chain_;
  options.hints = hints;
  while (!interrupted()) {
    auto lease = space_->allocate(static_cast<std::uint32_t>(wanted), kCompute, options);
    if (lease.ok()) {
      fresh = std::move(*lease);
      return {};
    }
    const Code code = lease.status().code();
    if (code == Code::kFull) return {};
    if (code != Code::kBusy) return failed(lease.status(), "allocate", why);
    if (options.when_full == WhenFull::kForget) return {};
    if (WallClock::now() >= deadline) options.when_full = WhenFull::kForget;
  }
  return {};
}

void Replay::show(const TraceReader& reader, Progress& progress) {
  ProgressState state;
  state.requests = result_.requests;
  state.referenced = result_.referenced;
  state.hit = result_.hit;
  for (const LinkStats& link : space_->stats().links) state.bytes_moved += link.bytes;
  const double read = reader.progress();
  if (read >= 0) {
    state.fraction = (static_cast<double>(traces_done_) + read) / static_cast<double>(options_.traces);
  }
  if (options_.limit > 0) {
    state.fraction =
        std::max(state.fraction, static_cast<double>(result_.requests) / static_cast<double>(options_.limit));
  }
  progress.show(state);
}

const ReplayResult& Replay::finish() {
  // What has not settled by then only makes the statistics a moment old.
  static_cast<void>(space_->settle(kSettle));
  // So that the next replay on the same drive goes on where this one ended, if a tier persists.
  static_cast<void>(space_->save(kSave));
  result_.stats = space_->stats();
  result_.tenants = tenants_.all();
  return result_;
}

}  // namespace kelvin::cli

// See sim.h.
#include "cli/sim.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <new>
#include <utility>

#include "cli/interrupt.h"
#include "cli/sim_config.h"

namespace kelvin::cli {
namespace {

using namespace std::chrono_literals;
using WallClock = std::chrono::steady_clock;

constexpr TierIndex kCompute{0};
constexpr std::uint64_t kCoarsestStepNs = 10'000'000;
constexpr std::uint64_t kFinestStepNs = 1'000;
constexpr std::uint64_t kPatienceNs = 30'000'000'000;  // for room in tier 0, as in a replay

// How far virtual time may jump while copies are under way: the time of one block on the fastest link.
std::uint64_t step_of(const Config& config) {
  std::uint64_t step = kCoarsestStepNs;
  const std::vector<TierSpeed> speeds = speeds_of(config);
  for (std::size_t t = 1; t < speeds.size(); ++t) {
    const std::uint64_t fastest = std::max(speeds[t].load_bytes_per_second, speeds[t].store_bytes_per_second);
    const double ns =
        fastest == 0 ? 0 : static_cast<double>(config.space.block_bytes) * 1e9 / static_cast<double>(fastest);
    step = std::min(step, std::max(static_cast<std::uint64_t>(ns), speeds[t].latency_ns / 4));
  }
  return std::max(step, kFinestStepNs);
}

class Simulation {
 public:
  Simulation(const TraceSet& traces, const Config& config, SimOptions options)
      : traces_(traces),
        config_(config),
        options_(std::move(options)),
        step_ns_(step_of(config)),
        tenants_(config) {}

  Status open(std::string* why) {
    auto sim = simulated(config_, why);
    if (!sim.ok()) return sim.status();
    Parts parts;
    parts.clock = [this] { return kStart + now_ns_; };
    auto space = Space::open(*sim, why, std::move(parts));
    if (!space.ok()) return space.status();
    space_ = std::move(*space);
    if (config_.policy.learned != "none") {
      const Status status = space_->load_learned(config_.policy.learned, why);
      if (!status.ok() && status.code() != Code::kNotFound) return status;
    }
    result_.policy = config_.policy.name;
    result_.hits_by_tier.resize(config_.tiers.size());
    return {};
  }

  Status run(std::string* why) {
    const auto start = WallClock::now();
    const std::uint64_t end_ns = traces_.requests.empty() ? 0 : last_arrival();
    sample_ns_ = end_ns / std::max<std::size_t>(1, options_.samples) + 1;
    begin_sample();
    for (const TracedRequest& request : traces_.requests) {
      if (interrupted()) break;
      if (Status status = announce_until(request.time_ns, why); !status.ok()) return status;
      if (Status status = advance(request.time_ns, why); !status.ok()) return status;
      if (Status status = arrive(request, why); !status.ok()) return status;
    }
    if (Status status = advance(std::numeric_limits<std::uint64_t>::max(), why); !status.ok()) return status;
    result_.virtual_seconds = static_cast<double>(now_ns_) / 1e9;
    result_.seconds = std::chrono::duration<double>(WallClock::now() - start).count();
    finish();
    return options_.save_learned.empty() ? Status() : space_->save_learned(options_.save_learned, why);
  }

  SimResult take() { return std::move(result_); }

 private:
  static constexpr std::uint64_t kStart = 1;  // 0 would be before everything

  // A request between its arrival and its blocks' publishing: first its prefix is loaded, then it wants
  // slots.
  struct Active {
    const TracedRequest* request;
    Ticket ticket;
    Lease prefix;
    bool loaded = false;
    std::uint64_t loaded_ns = 0;
  };

  std::uint64_t last_arrival() const {
    return std::ranges::max(traces_.requests, {}, &TracedRequest::time_ns).time_ns;
  }

  // The scheduler's queue: what will arrive within the look-ahead is announced.
  Status announce_until(std::uint64_t until_ns, std::string* why) {
    if (options_.look_ahead_ns == 0) return {};
    for (; announced_ < traces_.requests.size(); ++announced_) {
      const TracedRequest& request = traces_.requests[announced_];
      const std::uint64_t when = request.time_ns - std::min(request.time_ns, options_.look_ahead_ns);
      if (when > until_ns) break;
      if (Status status = advance(when, why); !status.ok()) return status;
      name(request);
      space_->expect(chain_, std::chrono::nanoseconds(request.time_ns - std::min(now_ns_, request.time_ns)),
                     hints_of(request));
    }
    return {};
  }

  // Lets time pass until `until_ns`, or, at the end of the trace, until nothing is under way.
  Status advance(std::uint64_t until_ns, std::string* why) {
    while (now_ns_ < until_ns) {
      const bool quiet = space_->settle(0ns).ok();
      if (Status status = serve_active(why); !status.ok()) return status;
      std::uint64_t next_ns = now_ns_ + step_ns_;
      if (quiet && active_.empty()) {
        if (until_ns == std::numeric_limits<std::uint64_t>::max()) return {};
        const std::uint64_t due_ns = space_->due_ns();
        next_ns = due_ns < until_ns ? std::max(next_ns, due_ns - kStart) : until_ns;
      }
      now_ns_ = std::min(until_ns, next_ns);
    }
    return {};
  }

  Status serve_active(std::string* why) {
    for (std::size_t i = 0; i < active_.size();) {
      const auto served = serve(active_[i], why);
      if (!served.ok()) return served.status();
      if (*served) {
        active_.erase(active_.begin() + static_cast<std::ptrdiff_t>(i));
      } else {
        ++i;
      }
    }
    return {};
  }

  void name(const TracedRequest& request) {
    chain_.clear();
    for (const std::uint32_t block : traces_.blocks_of(request)) chain_.push_back(traces_.keys[block]);
  }

  // 0: traces that were not read from files have no tenants.
  std::uint64_t tenant_of(const TracedRequest& request) const {
    return request.trace < traces_.tenants.size() ? traces_.tenants[request.trace] : 0;
  }

  Hints hints_of(const TracedRequest& request) const {
    Hints hints;
    hints.session = request.session;
    hints.output_tokens = request.output_tokens;
    hints.finish = request.finish;
    hints.tenant = tenant_of(request);
    return hints;
  }

  Status arrive(const TracedRequest& request, std::string* why) {
    name(request);
    count_match(space_->match(chain_));
    AcquireOptions options;
    options.hints = hints_of(request);
    auto ticket = space_->acquire(chain_, kCompute, options);
    if (!ticket.ok()) return fail(ticket.status(), why);
    Active active{&request, std::move(*ticket), {}};
    const auto served = serve(active, why);
    if (!served.ok()) return served.status();
    if (!*served) active_.push_back(std::move(active));
    return {};
  }

  // Once the prefix is there, the rest is computed and published. False: not yet.
  Result<bool> serve(Active& active, std::string* why) {
    if (!active.loaded) {
      if (!active.ticket.done()) return false;
      active.prefix = active.ticket.take();
      active.loaded = true;
      active.loaded_ns = now_ns_;
    }
    const TracedRequest& request = *active.request;
    const std::size_t had = active.prefix.size();
    Lease fresh;
    name(request);
    const Hints hints = hints_of(request);
    if (!allocate(request.blocks - had, hints, active.loaded_ns, fresh)) return false;
    std::size_t published = 0;
    if (fresh) {
      const Status status = space_->publish(fresh, std::span(chain_).first(had + fresh.size()), had, hints);
      if (!status.ok() && status.code() != Code::kFull) return fail(status, why);
      published = status.ok() ? fresh.size() : 0;
    }
    count_request(request, had, published);
    // Deepest blocks first: a policy sees the order, and a prefix must outlive what stands on it.
    if (fresh) static_cast<void>(fresh.release(hints));
    if (active.prefix) static_cast<void>(active.prefix.release(hints));
    return true;
  }

  // Slots for as many of the chain's last blocks as the policy admits. False: moves under way will make room.
  bool allocate(std::size_t wanted, const Hints& hints, std::uint64_t since_ns, Lease& fresh) {
    if (wanted == 0) return true;
    AllocateOptions options;
    options.chain = chain_;
    options.hints = hints;
    options.when_full = now_ns_ - since_ns < kPatienceNs ? WhenFull::kWait : WhenFull::kForget;
    auto lease = space_->allocate(static_cast<std::uint32_t>(wanted), kCompute, options);
    if (!lease.ok() && lease.status().code() == Code::kBusy && options.when_full == WhenFull::kWait)
      return false;
    if (lease.ok()) fresh = std::move(*lease);
    return true;
  }

  void begin_sample() {
    result_.samples.push_back(
        {now_ns_ + sample_ns_, 0, std::vector<std::uint64_t>(config_.tiers.size()), 0, 0});
  }

  SimSample& sample_now() {
    if (now_ns_ > result_.samples.back().until_ns) begin_sample();
    return result_.samples.back();
  }

  void count_match(const Match& match) {
    SimSample& sample = sample_now();
    sample.referenced += chain_.size();
    for (std::size_t t = 0; t < config_.tiers.size(); ++t) {
      sample.hits_by_tier[t] += match.in_tier[t];
      result_.hits_by_tier[t] += match.in_tier[t];
    }
  }

  void count_request(const TracedRequest& request, std::size_t had, std::size_t published) {
    ++result_.requests;
    result_.referenced += chain_.size();
    result_.hit += had;
    tenants_.add(tenant_of(request), chain_.size(), had);
    result_.published += published;
    result_.unpublished += chain_.size() - had - published;
    const std::uint64_t wait = now_ns_ - std::min(now_ns_, request.time_ns);
    result_.load_wait_ns += wait;
    SimSample& sample = sample_now();
    ++sample.served;
    sample.load_wait_ns += wait;
    const double speed = config_.space.prefill_tokens_per_second;
    const double found =
        std::min<double>(static_cast<double>(had) * config_.space.block_tokens, request.input_tokens);
    const double compute = std::max(1.0, request.input_tokens - found) / speed;
    result_.prefill_seconds += compute;
    result_.saved_seconds += found / speed;
    result_.ttft_ns.add(wait + static_cast<std::uint64_t>(compute * 1e9));
  }

  void finish() {
    result_.stats = space_->stats();
    result_.tenants = tenants_.all();
    for (const LinkStats& link : result_.stats.links) {
      const auto place = [&](std::string_view name) {
        return std::ranges::find(config_.tiers, name, &TierConfig::name) - config_.tiers.begin();
      };
      const std::size_t arrow = link.name.find('>');
      const std::string_view name = link.name;
      if (place(name.substr(0, arrow)) < place(name.substr(arrow + 1))) result_.written_behind += link.copies;
    }
  }

  static Status fail(Status status, std::string* why) {
    *why = std::string("simulating: ") + status.message();
    return status;
  }

  const TraceSet& traces_;
  const Config& config_;
  const SimOptions options_;
  const std::uint64_t step_ns_;
  std::uint64_t now_ns_ = 0;
  std::uint64_t sample_ns_ = 0;
  std::size_t announced_ = 0;  // requests
  std::unique_ptr<Space> space_;
  std::vector<Active> active_;  // in order of arrival
  std::vector<BlockKey> chain_;
  TenantCounts tenants_;
  SimResult result_;
};

}  // namespace

Result<SimResult> simulate(const TraceSet& traces, const Config& config, const SimOptions& options,
                           std::string* why) try {
  Simulation simulation(traces, config, options);
  if (Status status = simulation.open(why); !status.ok()) return status;
  if (Status status = simulation.run(why); !status.ok()) return status;
  return simulation.take();
} catch (const std::bad_alloc&) {
  *why = "out of memory while simulating";
  return Status(Code::kFull, "simulating");
}

}  // namespace kelvin::cli

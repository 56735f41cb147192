// What a policy costs: time for each block reference on one core, and memory for each block.
//
//   WORKLOAD/POLICY    one call: the whole workload against one memory that holds a tenth of its blocks
//   memory/POLICY      one call: to make the policy for a million slots
//
// WORKLOAD: chat, agent (generated; fixed seeds), and conversation, agentic (real ones, where they lie beside
// the project). POLICY: every registered one, and fifo: a queue of arrivals, the least a policy can do.
//
// A policy is driven as a space drives it (lease the known prefix, make room for the rest at once, publish,
// release deepest first) but without a space: blocks are entries of an array, so that what is seen is the
// policy. in_policy_ns counts the time inside observe and plan alone; items are block references, over all
// of the driver's time. bytes_a_block counts what the policy allocated for each block of the table (a tenth
// more than the tier has slots) when it remembers no block that is gone, where that can be switched off;
// ghost_bytes_a_block what its default memory of those takes beside that.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/counted_new.h"
#include "bench/report.h"
#include "cli/trace_gen.h"
#include "cli/trace_set.h"
#include "kelvin/plugin.h"
#include "registry.h"

namespace kelvin::bench {
namespace {

using WallClock = std::chrono::steady_clock;
constexpr TierIndex kTier{0};
constexpr std::uint64_t kSeed = 1;
constexpr std::uint32_t kMemorySlots = 1'000'000;

class OneTier final : public Tier {
 public:
  explicit OneTier(std::uint32_t slots) {
    info_.name = "memory";
    info_.slots = slots;
    info_.slot_bytes = info_.segment_bytes = 2u << 20;
  }
  const TierInfo& info() const noexcept override { return info_; }
  Address address(Slot /*slot*/, std::uint32_t /*segment*/) const noexcept override { return {}; }

 private:
  TierInfo info_;
};

// Victims in the order of their arrival.
class FifoPolicy final : public Policy {
 public:
  explicit FifoPolicy(const PolicyContext& context) : queue_(context.blocks) {}

  void observe(const View& /*view*/, std::span<const Event> events) noexcept override {
    for (const Event& event : events) {
      if (event.kind == EventKind::kPublish) queue_[tail_++ % queue_.size()] = event.block;
    }
  }
  std::size_t plan(const View& view, const Budget& budget, std::span<Move> moves) noexcept override {
    const std::size_t wanted = std::min<std::size_t>(budget.want_free[0], moves.size());
    std::size_t count = 0;
    for (std::uint64_t looks = tail_ - head_; looks > 0 && count < wanted; --looks) {
      const BlockId block = queue_[head_++ % queue_.size()];
      const BlockState state = view.block(block);
      if (state.tiers != 0 && state.leased == 0) {
        moves[count++] = {block, kTier, kNoTier};
      } else if (state.tiers != 0) {
        queue_[tail_++ % queue_.size()] = block;
      }
    }
    return count;
  }

 private:
  std::vector<BlockId> queue_;
  std::uint64_t head_ = 0, tail_ = 0;
};

// Blocks without bytes in one tier, and the requests of a trace on them.
class Engine final : private View {
 public:
  Engine(const cli::TraceSet& trace, std::uint32_t slots)
      : trace_(trace), tier_(slots), ids_(trace.keys.size()), states_(slots + slots / 10) {
    tiers_[0].info = &tier_.info();
    tiers_[0].free_slots = slots;
    for (auto id = static_cast<std::uint32_t>(states_.size()); id-- > 0;) free_.emplace_back(id);
    names_.resize(states_.size());
  }

  PolicyContext context() const { return {infos_, static_cast<std::uint32_t>(states_.size()), space_}; }

  struct Result {
    std::uint64_t references = 0, hits = 0;
    std::chrono::nanoseconds in_policy{0};
  };
  Result run(Policy& policy) {
    policy_ = &policy;
    for (const cli::TracedRequest& request : trace_.requests) serve(request);
    return result_;
  }

 private:
  std::span<const TierState> tiers() const noexcept override { return tiers_; }
  BlockState block(BlockId block) const noexcept override { return states_[block.value]; }
  bool holds(std::uint32_t name) const { return ids_[name] && states_[ids_[name].value].tiers != 0; }

  void serve(const cli::TracedRequest& request) {
    const auto names = trace_.blocks_of(request);
    std::size_t known = 0;
    while (known < names.size() && holds(names[known])) ++known;
    result_.references += names.size();
    result_.hits += known;
    for (std::size_t i = 0; i < known; ++i) states_[ids_[names[i]].value].leased = 1;
    tell(EventKind::kHit, names.first(known), request);
    std::size_t published = known;
    keys_.clear();
    for (const std::uint32_t name : names.subspan(known)) keys_.push_back(trace_.keys[name]);
    newcomers_.keys = keys_;
    newcomers_.depth = static_cast<std::uint32_t>(known);
    newcomers_.parent = known == 0 ? BlockId{} : ids_[names[known - 1]];
    newcomers_.hints.session = request.session;
    newcomers_.hints.output_tokens = request.output_tokens;
    newcomers_.hints.finish = request.finish;
    if (tiers_[0].free_slots < keys_.size()) make_room();
    while (published < names.size() && put(names, published)) ++published;
    tell(EventKind::kPublish, names.subspan(known, published - known), request);
    tell(EventKind::kRelease, names.first(published), request);
    for (const std::uint32_t name : names.first(published)) states_[ids_[name].value].leased = 0;
  }

  bool put(std::span<const std::uint32_t> names, std::size_t i) {
    if (tiers_[0].free_slots == 0) return false;
    BlockId& id = ids_[names[i]];
    if (!id) {
      if (free_.empty()) return false;
      id = free_.back();
      free_.pop_back();
      names_[id.value] = names[i];
      const BlockId parent = i == 0 ? BlockId{} : ids_[names[i - 1]];
      states_[id.value] = {trace_.keys[names[i]], parent, static_cast<std::uint32_t>(i), 0, 0, 0};
      if (parent) ++states_[parent.value].children;
    }
    states_[id.value].tiers = states_[id.value].leased = 1;
    --tiers_[0].free_slots;
    return true;
  }

  void make_room() {
    std::array<std::uint32_t, 1> want{};
    constexpr std::array<std::uint32_t, 1> kNothing = {0};
    while (tiers_[0].free_slots < keys_.size()) {
      Budget budget;
      budget.now_ns = now_ns_;
      want[0] = static_cast<std::uint32_t>(keys_.size() - tiers_[0].free_slots);
      budget.want_free = want;
      budget.may_write = kNothing;
      budget.at_once = budget.may_forget = true;
      newcomers_.granted = tiers_[0].free_slots;
      budget.newcomers = &newcomers_;
      const std::size_t wanted = std::min<std::size_t>(moves_.size(), want[0]);
      const auto start = WallClock::now();
      const std::size_t count = policy_->plan(*this, budget, std::span(moves_).first(wanted));
      result_.in_policy += WallClock::now() - start;
      drop(std::span<const Move>(moves_).first(count));
      if (count < wanted) return;
    }
  }
  void drop(std::span<const Move> moves) {
    events_.clear();
    for (const Move& move : moves) add_event(EventKind::kLeave, move.block, kTier);
    send();
    tiers_[0].free_slots += static_cast<std::uint32_t>(moves.size());
    events_.clear();
    for (const Move& move : moves) {
      states_[move.block.value].tiers = 0;
      forget_from(move.block);
    }
    send();
  }
  // As a table does: a record stays while it has a copy or a child.
  void forget_from(BlockId block) {
    while (block && states_[block.value].tiers == 0 && states_[block.value].children == 0) {
      add_event(EventKind::kForget, block, kNoTier);
      ids_[names_[block.value]] = BlockId{};
      free_.push_back(block);
      block = states_[block.value].parent;
      if (block) --states_[block.value].children;
    }
  }

  // The blocks of a lease come deepest first.
  void tell(EventKind kind, std::span<const std::uint32_t> names, const cli::TracedRequest& request) {
    now_ns_ = request.time_ns + 1;
    events_.clear();
    for (const std::uint32_t name : names) {
      Event& event = add_event(kind, ids_[name], kTier);
      event.session = request.session;
      event.finish = request.finish;
      event.output_tokens = request.output_tokens;
    }
    if (kind != EventKind::kPublish) std::reverse(events_.begin(), events_.end());
    send();
  }
  Event& add_event(EventKind kind, BlockId block, TierIndex tier) {
    Event& event = events_.emplace_back();
    event.kind = kind;
    event.tier = tier;
    event.block = block;
    event.time_ns = now_ns_;
    return event;
  }
  void send() {
    if (events_.empty()) return;
    const auto start = WallClock::now();
    policy_->observe(*this, events_);
    result_.in_policy += WallClock::now() - start;
  }

  const cli::TraceSet& trace_;
  const SpaceConfig space_;
  const OneTier tier_;
  const std::array<const TierInfo*, 1> infos_ = {&tier_.info()};
  std::array<TierState, 1> tiers_;
  std::vector<BlockId> ids_;          // by name, the trace's number of a block
  std::vector<std::uint32_t> names_;  // by id
  std::vector<BlockState> states_;    // by id
  std::vector<BlockId> free_;
  std::vector<Event> events_;
  std::vector<BlockKey> keys_;  // of the newcomers
  Newcomers newcomers_;
  std::array<Move, 128> moves_;
  Policy* policy_ = nullptr;
  std::uint64_t now_ns_ = 0;
  Result result_;
};

std::unique_ptr<Policy> make_policy(const std::string& name, const PolicyContext& context,
                                    const std::vector<Option>& given = {}) {
  if (name == "fifo") return std::make_unique<FifoPolicy>(context);
  const PolicyFactory* const factory = find_policy_factory(name);
  std::string why;
  const auto options = Options::bind(factory->options, given, "policy", &why);
  if (!options.ok()) throw std::runtime_error(why);
  auto policy = factory->make(context, *options, &why);
  if (!policy.ok()) throw std::runtime_error(why);
  return std::move(policy).value();
}

void measure(benchmark::State& state, const cli::TraceSet& trace, const std::string& name) {
  const auto slots = static_cast<std::uint32_t>(trace.keys.size() / 10);
  Engine::Result all;
  for ([[maybe_unused]] auto _ : state) {
    state.PauseTiming();
    Engine engine(trace, slots);
    const std::unique_ptr<Policy> policy = make_policy(name, engine.context());
    state.ResumeTiming();
    const Engine::Result result = engine.run(*policy);
    all.references += result.references;
    all.hits += result.hits;
    all.in_policy += result.in_policy;
  }
  const auto references = static_cast<double>(all.references);
  state.SetItemsProcessed(static_cast<std::int64_t>(all.references));
  state.counters["in_policy_ns"] = static_cast<double>(all.in_policy.count()) / references;
  state.counters["hit_ratio"] = static_cast<double>(all.hits) / references;
}

// The key by which a policy's memory of blocks that are gone is switched off; empty: it has none.
std::string ghosts_key(const std::string& name) {
  for (const OptionSpec& spec : find_policy_factory(name)->options) {
    if (spec.name == "ghosts" || spec.name == "history") return std::string(spec.name);
  }
  return {};
}

double bytes_a_block(const std::string& name, const PolicyContext& context,
                     const std::vector<Option>& given) {
  const std::uint64_t before = allocated_bytes();
  const std::unique_ptr<Policy> policy = make_policy(name, context, given);
  return static_cast<double>(allocated_bytes() - before) / context.blocks;
}

void measure_memory(benchmark::State& state, const std::string& name) {
  const OneTier tier(kMemorySlots);
  const std::array<const TierInfo*, 1> infos = {&tier.info()};
  const PolicyContext context{infos, kMemorySlots + kMemorySlots / 10, {}};
  std::vector<Option> without;
  if (const std::string key = ghosts_key(name); !key.empty()) without.push_back({key, {"0"}});
  double bytes = 0;
  double all = 0;
  for ([[maybe_unused]] auto _ : state) {
    bytes = bytes_a_block(name, context, without);
    all = bytes_a_block(name, context, {});
  }
  state.counters["bytes_a_block"] = bytes;
  state.counters["ghost_bytes_a_block"] = all - bytes;
}

cli::TraceSet load(const std::string& path) {
  cli::TraceSetOptions options;
  options.layout = make_layout("bench", 2u << 20, cli::kTraceBlockTokens);
  std::string why;
  auto set = cli::load_traces({path}, options, &why);
  if (!set.ok()) throw std::runtime_error(why);
  return std::move(set).value();
}

cli::TraceSet generate(cli::TraceKind kind, std::uint64_t requests, const std::string& dir) {
  const std::string path = dir + "/policy_bench.jsonl";
  std::string why;
  {
    std::ofstream out(path);
    require(cli::write_trace(*cli::make_trace_model(kind, requests, kSeed), requests, out, &why),
            why.c_str());
  }
  cli::TraceSet set = load(path);
  std::filesystem::remove(path);
  return set;
}

void add_goals(Run& run, const std::string& workload, const std::string& policy) {
  const std::string name = workload + "/" + policy;
  const bool bare = policy == "fifo";
  run.compare({.what = name + (bare ? ": in the bare policy" : ": in the policy, a block reference"),
               .ours = name,
               .peer = {},
               .counter = "in_policy_ns",
               .goal = bare ? 0.0 : 400.0,
               .at_most = true,
               .unit = "ns"});
}

void add_memory(Run& run, const std::string& policy) {
  const std::string name = "memory/" + policy;
  benchmark::RegisterBenchmark(name.c_str(), [policy](benchmark::State& state) {
    measure_memory(state, policy);
  })->Unit(benchmark::kMillisecond);
  run.compare({.what = policy + ": its memory, a block",
               .ours = name,
               .peer = {},
               .counter = "bytes_a_block",
               .goal = 48,
               .at_most = true,
               .unit = "B"});
  run.compare({.what = "  beside that for blocks that are gone",
               .ours = name,
               .peer = {},
               .counter = "ghost_bytes_a_block",
               .goal = 0,
               .at_most = true,
               .unit = "B"});
}

int run_all(int argc, char** argv) {
  Run run(argc, argv);
  std::map<std::string, cli::TraceSet> traces;
  traces["chat"] = generate(cli::TraceKind::kChat, run.small() ? 2'000 : 60'000, run.dir());
  traces["agent"] = generate(cli::TraceKind::kAgent, run.small() ? 500 : 12'000, run.dir());
  for (const std::string name : {"conversation", "agentic"}) {
    const std::string path = std::string(KELVIN_SOURCE_DIR) + "/../shared/traces/" + name + ".jsonl.zst";
    if (std::filesystem::exists(path)) {
      traces[name] = load(path);
    } else {
      run.skip("the real trace " + name + ": there is no " + path);
    }
  }
  std::vector<std::string> policies = {"fifo"};
  for (const PolicyFactory* factory : policy_factories()) policies.emplace_back(factory->name);
  for (const auto& [workload, trace] : traces) {
    for (const std::string& policy : policies) {
      benchmark::RegisterBenchmark((workload + "/" + policy).c_str(), [&trace = trace,
                                                                       policy](benchmark::State& state) {
        measure(state, trace, policy);
      })->Unit(benchmark::kMillisecond);
      add_goals(run, workload, policy);
    }
  }
  for (const PolicyFactory* factory : policy_factories()) add_memory(run, std::string(factory->name));
  return run.finish();
}

}  // namespace
}  // namespace kelvin::bench

int main(int argc, char** argv) { return kelvin::bench::guarded(kelvin::bench::run_all, argc, argv); }

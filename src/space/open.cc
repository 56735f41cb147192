// From a config to a running Core: see core.h.
#include <algorithm>
#include <new>
#include <random>
#include <utility>

#include "base/clock.h"
#include "registry.h"
#include "space/core.h"
#include "staging/connect_staged.h"

namespace kelvin {

// The steps of opening, each over what the ones before it made.
class SpaceOpener {
 public:
  SpaceOpener(const Config& config, std::string* why, Parts parts)
      : config_(config), parts_(std::move(parts)), why_(why != nullptr ? why : &unused_) {}

  Result<Core*> open() {
    for (const auto step : {&SpaceOpener::check, &SpaceOpener::make_tiers, &SpaceOpener::make_links,
                            &SpaceOpener::make_blocks, &SpaceOpener::make_policy, &SpaceOpener::start}) {
      if (const Status status = (this->*step)(); !status.ok()) {
        if (why_->empty()) *why_ = status.message();
        return status;
      }
    }
    return std::exchange(core_, nullptr);
  }

  ~SpaceOpener() { delete core_; }
  SpaceOpener(const SpaceOpener&) = delete;
  SpaceOpener& operator=(const SpaceOpener&) = delete;

 private:
  Status check() {
    if (const Status status = validate(config_, why_); !status.ok()) return status;
    core_ = new Core;
    core_->config_ = config_;
    core_->layout_ = make_layout(config_.space.model, config_.space.block_bytes, config_.space.block_tokens);
    core_->clock_ = parts_.clock ? std::move(parts_.clock) : Clock(monotonic_ns);
    core_->event_clock_ = parts_.event_clock ? std::move(parts_.event_clock) : core_->clock_;
    return Status();
  }

  const AdoptedMemory* adopted_memory(const std::string& tier) const {
    for (const Parts::Adopted& adopted : parts_.adopted) {
      if (adopted.tier == tier) return &adopted.memory;
    }
    return nullptr;
  }

  Status make_tiers() {
    for (const TierConfig& tier : config_.tiers) {
      const TierFactory* factory = find_tier_factory(tier.kind);
      auto options = Options::bind(factory->options, tier.options, "tier '" + tier.name + "'", why_);
      if (!options.ok()) return options.status();
      auto made = factory->open({config_.space, tier, adopted_memory(tier.name)}, *options, why_);
      if (!made.ok()) return made.status();
      tiers_.push_back(std::move(made).value());
    }
    return Status();
  }

  LinkContext between(TierIndex from, TierIndex to) const {
    return {*tiers_[from.value], *tiers_[to.value], core_->clock_, config_.mover.threads != 0};
  }

  // The farther tier's section says what its links are like.
  void describe(Topology::Edge& edge) const {
    const bool store = edge.to.value > edge.from.value;
    const TierConfig& farther = config_.tiers[std::max(edge.to.value, edge.from.value)];
    const bool same = !store || farther.store_bandwidth == 0;
    edge.stated_latency_ns = farther.load_latency_ns;
    edge.stated_bytes_per_second = same ? farther.load_bandwidth : farther.store_bandwidth;
    edge.takes_source = !store && farther.placement == "exclusive";
  }

  void add_edge(TierIndex from, TierIndex to, std::unique_ptr<Link> link) {
    auto edge = std::make_unique<Topology::Edge>();
    edge->from = from;
    edge->to = to;
    edge->link = parts_.wrap_link ? parts_.wrap_link(std::move(link)) : std::move(link);
    describe(*edge);
    edges_.push_back(std::move(edge));
  }

  Status refuse(const Status& status, std::string said) {
    *why_ = std::move(said);
    return status;
  }

  // A remark on how two tiers are joined, if there is one.
  void note(const LinkContext& pair, const std::string& remark) {
    if (remark.empty()) return;
    core_->remarks_.push_back(pair.from.info().name + ">" + pair.to.info().name + ": " + remark);
  }

  Status join_pairs() {
    for (std::uint8_t from = 0; from < tiers_.size(); ++from) {
      for (std::uint8_t to = 0; to < tiers_.size(); ++to) {
        if (from == to) continue;
        const LinkContext pair = between(TierIndex(from), TierIndex(to));
        std::string said;
        auto link = connect_tiers(pair, &said);
        if (!link.ok()) return refuse(link.status(), std::move(said));
        note(pair, said);
        if (*link != nullptr) add_edge(TierIndex(from), TierIndex(to), std::move(link).value());
      }
    }
    return Status();
  }

  // What has no way to where it must go gets one through host memory.
  Status bridge_gaps() {
    while (const auto gap = Topology::find_gap(tiers_, edges_)) {
      std::string said;
      auto link =
          connect_staged(between(gap->from, gap->to), config_.space, config_.mover.staging_bytes, &said);
      if (!link.ok()) return refuse(link.status(), std::move(said));
      if (*link == nullptr) break;  // the topology says so
      add_edge(gap->from, gap->to, std::move(link).value());
    }
    return Status();
  }

  Status make_links() {
    if (const Status status = join_pairs(); !status.ok()) return status;
    if (const Status status = bridge_gaps(); !status.ok()) return status;
    auto topology = Topology::make(std::move(tiers_), std::move(edges_), why_);
    if (!topology.ok()) return topology.status();
    core_->topology_ = std::move(topology).value();
    return Status();
  }

  Status make_blocks() {
    std::uint64_t slots = 0;
    std::vector<std::unique_ptr<SlotMap>> maps;
    for (std::uint8_t t = 0; t < core_->topology_->tiers(); ++t) {
      const TierInfo& info = core_->topology_->tier(TierIndex(t)).info();
      auto map = SlotMap::make(info.slots, info.adopted, info.ledger, info.growth);
      if (!map.ok()) return map.status();
      maps.push_back(std::move(map).value());
      slots += info.slots;
    }
    const std::uint64_t records = slots + slots * config_.space.ghosts_percent / 100 + 16;
    if (records >= BlockId::kNone) {
      *why_ = "the tiers have " + std::to_string(slots) +
              " slots in all, more than 2^32 blocks; raise space.block_bytes";
      return Status(Code::kInvalid, "opening a space");
    }
    std::random_device random;
    const std::uint64_t seed = config_.space.seed != 0
                                   ? config_.space.seed
                                   : (static_cast<std::uint64_t>(random()) << 32) | random();
    auto table = Table::make(static_cast<std::uint32_t>(records), seed);
    if (!table.ok()) return table.status();
    core_->residency_ = std::make_unique<Residency>(std::move(table).value(), std::move(maps));
    core_->holds_ = std::make_unique<HoldPool>(config_.space.max_leases, core_, &Core::unref);
    auto journal = Journal::make();
    if (!journal.ok()) return journal.status();
    core_->journal_ = std::move(journal).value();
    return Status();
  }

  Status make_policy() {
    if (parts_.policy != nullptr) {
      policy_ = std::move(parts_.policy);
      return Status();
    }
    std::vector<const TierInfo*> infos;
    for (std::uint8_t t = 0; t < core_->topology_->tiers(); ++t) {
      infos.push_back(&core_->topology_->tier(TierIndex(t)).info());
    }
    const PolicyFactory* factory = find_policy_factory(config_.policy.name);
    auto options =
        Options::bind(factory->options, config_.policy.options, "[policy] " + config_.policy.name, why_);
    if (!options.ok()) return options.status();
    auto made = factory->make({infos, core_->residency_->table().capacity(), config_.space}, *options, why_);
    if (!made.ok()) return made.status();
    policy_ = std::move(made).value();
    return Status();
  }

  // Shares are of what blocks can ever fill: the slots kept free ahead, and refilled to a quarter more, are
  // not.
  Status protect(const std::array<std::uint32_t, kMaxTiers>& free_ahead) {
    std::vector<double> shares;
    for (const TenantConfig& tenant : config_.tenants) {
      shares.push_back(tenant.share);
      core_->tenants_.push_back(tenant_id(tenant.salt));
    }
    ProtectionSetup setup;
    setup.shares = shares;
    for (std::uint8_t t = 0; t < core_->topology_->tiers(); ++t) {
      const TierInfo& info = core_->topology_->tier(TierIndex(t)).info();
      setup.share_slots[t] = info.slots - std::min(info.slots, free_ahead[t] + free_ahead[t] / 4);
      setup.pin_limit[t] =
          info.adopted ? 0 : static_cast<std::uint32_t>(config_.tiers[t].pin_share * info.slots);
    }
    return core_->planner_->open(setup);
  }

  Status start() {
    Core& core = *core_;
    core.mover_ =
        std::make_unique<Mover>(*core.residency_, *core.topology_, *core.holds_, core.clock_, config_.mover);
    Planner::Parts parts{*core.residency_, *core.journal_,     *core.mover_, core.clock_, core.event_clock_,
                         *core.topology_,  std::move(policy_), {},           {}};
    for (std::uint8_t t = 0; t < core.topology_->tiers(); ++t) {
      const TierInfo& info = core.topology_->tier(TierIndex(t)).info();
      parts.free_ahead[t] =
          info.adopted ? 0 : static_cast<std::uint32_t>(config_.tiers[t].free_ahead * info.slots);
    }
    for (std::size_t t = 0; t < core.topology_->tiers(); ++t) {
      parts.write_budget[t] =
          static_cast<double>(config_.tiers[t].write_budget) / static_cast<double>(config_.space.block_bytes);
    }
    const auto free_ahead = parts.free_ahead;
    core.planner_ = std::make_unique<Planner>(std::move(parts));
    if (const Status status = protect(free_ahead); !status.ok()) return status;
    core.mover_->begin(*core.planner_);
    for (std::uint8_t t = 0; t < core.topology_->tiers(); ++t) {
      if (core.topology_->tier(TierIndex(t)).info().ledger == nullptr) continue;
      core.mover_->scrub(TierIndex(t), config_.tiers[t].scrub);
      core.planner_->recover(TierIndex(t));
    }
    core.begin_learned(config_.policy.learned);
    if (config_.mover.threads == 0) return Status();
    core.driver_ = std::make_unique<Driver>(*core.mover_, *core.topology_);
    return core.driver_->start();
  }

  const Config& config_;
  Parts parts_;
  std::string* why_;
  std::string unused_;
  std::vector<std::unique_ptr<Tier>> tiers_;
  std::vector<std::unique_ptr<Topology::Edge>> edges_;  // end before the tiers they join
  std::unique_ptr<Policy> policy_;
  Core* core_ = nullptr;
};

Result<Core*> Core::open(const Config& config, std::string* why, Parts parts) {
  try {
    return SpaceOpener(config, why, std::move(parts)).open();
  } catch (const std::bad_alloc&) {
    if (why != nullptr)
      *why = "out of memory while opening the space: lower the tiers' capacity or space.max_leases";
    return Status(Code::kFull, "opening a space");
  }
}

Core::~Core() = default;

void Core::close() noexcept {
  // Sequentially consistent with Core::part: it sees this, or the mover's last look sees its hold.
  closed_.store(true, std::memory_order_seq_cst);
  if (driver_ != nullptr) {
    driver_->stop();
  } else {
    mover_->cancel();
  }
  end_learned();
  unref(this);
}

void Core::unref(Core* core) noexcept {
  if (core->refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete core;
}

Hold* Core::take_hold() noexcept {
  Hold* hold = holds_->take(clock_());
  if (hold != nullptr) refs_.fetch_add(1, std::memory_order_relaxed);
  return hold;
}

void Core::kick(TierIndex tier) noexcept {
  if (driver_ != nullptr && planner_->short_of(tier, mover_->leaving(tier))) driver_->wake();
}

}  // namespace kelvin

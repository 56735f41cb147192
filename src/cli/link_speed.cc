// See link_speed.h.
#include "cli/link_speed.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "cli/interrupt.h"
#include "cli/two_tiers.h"

namespace kelvin::cli {
namespace {

using WallClock = std::chrono::steady_clock;

std::uint64_t ns_since(WallClock::time_point start) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(WallClock::now() - start).count());
}

std::uint64_t median(std::vector<std::uint64_t> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

// Measures one pair of tiers, both ways.
class Pair {
 public:
  Pair(TwoTiers& tiers, const MeasureOptions& options, std::string* why)
      : tiers_(tiers), options_(options), why_(why) {}

  // Each round stores what was published anew, then loads it back. The first round warms up.
  Status run(LinkSpeed& load, LinkSpeed& store) {
    for (const bool single : {true, false}) {
      const std::size_t count = single ? 1 : affordable(load.one_block_ns + store.one_block_ns);
      const std::size_t rounds = single ? options_.singles : options_.rounds;
      const auto start = WallClock::now();
      std::vector<std::uint64_t> loads;
      std::vector<std::uint64_t> stores;
      for (std::size_t i = 0; i <= rounds; ++i) {
        std::uint64_t store_ns = 0;
        std::uint64_t load_ns = 0;
        if (Status status = round(count, store_ns, load_ns); !status.ok()) return status;
        if (i == 0) continue;
        stores.push_back(store_ns);
        loads.push_back(load_ns);
        if (options_.most_ns != 0 && ns_since(start) > options_.most_ns / 2) break;
      }
      note(load, median(loads), count, single);
      note(store, median(stores), count, single);
    }
    return {};
  }

 private:
  // So many blocks that all rounds of them, there and back, fit into half of the time.
  std::size_t affordable(std::uint64_t block_ns) const {
    if (options_.most_ns == 0) return tiers_.blocks();
    const std::uint64_t fit =
        options_.most_ns / 2 / ((options_.rounds + 1) * std::max<std::uint64_t>(block_ns, 1));
    return std::clamp<std::size_t>(fit, 1, tiers_.blocks());
  }

  Status round(std::size_t count, std::uint64_t& store_ns, std::uint64_t& load_ns) {
    if (interrupted()) {
      *why_ = "interrupted";
      return {Code::kCanceled, "measuring links"};
    }
    if (Status status = tiers_.publish(why_); !status.ok()) return status;
    if (Status status = timed(TwoTiers::kFar, count, store_ns); !status.ok()) return status;
    if (Status status = tiers_.drop(TwoTiers::kNear, why_); !status.ok()) return status;
    return timed(TwoTiers::kNear, count, load_ns);
  }

  Status timed(TierIndex to, std::size_t count, std::uint64_t& ns) {
    const auto start = WallClock::now();
    const Status status = tiers_.load(to, count, why_);
    ns = std::max<std::uint64_t>(ns_since(start), 1);
    return status;
  }

  void note(LinkSpeed& speed, std::uint64_t ns, std::size_t count, bool single) const {
    if (single) {
      speed.one_block_ns = ns;
      return;
    }
    speed.blocks = count;
    const double bytes = static_cast<double>(count) * static_cast<double>(tiers_.block_bytes());
    speed.bytes_per_second = static_cast<std::uint64_t>(bytes * 1e9 / static_cast<double>(ns));
  }

  TwoTiers& tiers_;
  const MeasureOptions& options_;
  std::string* const why_;
};

LinkSpeed unmeasured(const Config& config, std::size_t near, std::size_t far, bool store) {
  const std::string& from = config.tiers[store ? near : far].name;
  const std::string& to = config.tiers[store ? far : near].name;
  LinkSpeed speed;
  speed.name = from + ">" + to;
  speed.near = near;
  speed.far = far;
  speed.store = store;
  return speed;
}

Status measure_pair(const Config& config, const MeasureOptions& options, LinkSpeed& load, LinkSpeed& store) {
  std::string why;
  auto tiers = TwoTiers::open(config, load.near, load.far, options.bytes, &why);
  Status status = tiers.status();
  if (tiers.ok()) {
    load.depth = (*tiers)->depth(load.name);
    store.depth = (*tiers)->depth(store.name);
    status = Pair(**tiers, options, &why).run(load, store);
  }
  if (!status.ok()) load.missing = store.missing = why.empty() ? status.message() : why;
  return status.code() == Code::kCanceled ? status : Status();
}

const LinkSpeed* find(const std::vector<LinkSpeed>& speeds, std::size_t near, std::size_t far, bool store) {
  const auto found = std::ranges::find_if(speeds, [&](const LinkSpeed& speed) {
    return speed.near == near && speed.far == far && speed.store == store && speed.missing.empty();
  });
  return found == speeds.end() ? nullptr : &*found;
}

// Whole MiB and microseconds: what varies between two measurements is more than that.
std::uint64_t round_bytes(std::uint64_t bytes) {
  constexpr std::uint64_t kUnit = 1 << 20;
  return std::max<std::uint64_t>(1, (bytes + kUnit / 2) / kUnit) * kUnit;
}
std::uint64_t round_ns(std::uint64_t ns) { return std::max<std::uint64_t>(1, (ns + 500) / 1000) * 1000; }

}  // namespace

std::uint64_t LinkSpeed::latency_ns(std::uint64_t block_bytes) const {
  if (bytes_per_second == 0) return one_block_ns;
  const double transfer = static_cast<double>(block_bytes) * 1e9 / static_cast<double>(bytes_per_second);
  return one_block_ns - std::min(one_block_ns, static_cast<std::uint64_t>(transfer));
}

Result<std::vector<LinkSpeed>> measure_links(const Config& config, const MeasureOptions& options,
                                             const std::function<void(const std::string&)>& tell,
                                             std::string* why) {
  std::vector<LinkSpeed> speeds;
  for (std::size_t far = 1; far < config.tiers.size(); ++far) {
    for (std::size_t near = 0; near < far; ++near) {
      if (near != 0 && near + 1 != far) continue;
      LinkSpeed load = unmeasured(config, near, far, false);
      LinkSpeed store = unmeasured(config, near, far, true);
      tell(load.name);
      if (Status status = measure_pair(config, options, load, store); !status.ok()) {
        *why = "interrupted";
        return status;
      }
      speeds.push_back(std::move(load));
      speeds.push_back(std::move(store));
    }
  }
  return speeds;
}

void apply_speeds(const std::vector<LinkSpeed>& speeds, Config& config) {
  for (std::size_t far = 1; far < config.tiers.size(); ++far) {
    const LinkSpeed* load = find(speeds, 0, far, false);
    if (load == nullptr) load = find(speeds, far - 1, far, false);
    const LinkSpeed* store = find(speeds, far - 1, far, true);
    if (store == nullptr) store = find(speeds, 0, far, true);
    TierConfig& tier = config.tiers[far];
    if (load != nullptr) {
      tier.load_latency_ns = round_ns(load->latency_ns(config.space.block_bytes));
      tier.load_bandwidth = round_bytes(load->bytes_per_second);
    }
    if (store != nullptr) tier.store_bandwidth = round_bytes(store->bytes_per_second);
  }
}

}  // namespace kelvin::cli

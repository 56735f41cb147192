// The mover's round and its end. See mover.h.
#include "mover/mover.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "base/clock.h"

namespace kelvin {
namespace {

constexpr std::chrono::microseconds kPause{20};  // between two looks at links that are asked to end

}  // namespace

Mover::Mover(Residency& residency, Topology& topology, HoldPool& holds, Clock& clock,
             const MoverConfig& config)
    : residency_(residency),
      topology_(topology),
      holds_(holds),
      clock_(clock),
      config_(config),
      planned_(config.queue),
      links_(topology.edges().size()),
      discards_(residency, topology) {
  static_assert(kMaxTiers * (kMaxTiers - 1) <= 64, "shut_ has a bit for each link");
  std::uint32_t most_strays = 0;
  for (std::size_t i = 0; i < links_.size(); ++i) {
    Topology::Edge* edge = topology.edges()[i].get();
    links_[i].edge = edge;
    links_[i].depth = std::max(1u, edge->link->info().depth);
    links_[i].bit = std::uint64_t{1} << i;
    link_at_[edge->from.value][edge->to.value] = static_cast<std::uint8_t>(i);
    most_strays += links_[i].depth;
  }
  moves_.resize(config.queue + most_strays);
  free_moves_.reserve(moves_.size());
  for (auto n = static_cast<std::uint32_t>(moves_.size()); n-- > 0;) free_moves_.push_back(n);
  departures_.reserve(4 * moves_.size());  // of one round at most
  arrived_ = std::make_unique<std::atomic<std::uint32_t>[]>(moves_.size());
  for (std::uint8_t t = 0; t < topology.tiers(); ++t) {
    streams_[t] = topology.tier(TierIndex(t)).info().streams;
  }
}

std::size_t Mover::round() noexcept {
  if (has_mail()) was_idle_.store(false, std::memory_order_release);
  note_arrivals();  // before completions: what comes of a copy is said before the copy ends
  std::size_t done = poll_links();
  done += check_deadlines();
  done += take_lost();
  done += leave_offline_tiers();
  done += drop_sources();
  done += end_parted();
  done += check_marks();
  done += take_holds();
  done += take_planned();
  done += launch();
  drop_sources();
  bool plan = false;
  for (std::uint8_t t = 0; t < residency_.tiers(); ++t) {
    const TierIndex tier(t);
    plan = plan || starved_[t] != 0 ||
           (!residency_.slots(tier).adopted() && planner_->short_of(tier, leaving(tier)));
  }
  // In quiet moments the policy hears the news: it may want to save, prefetch or write behind.
  plan = plan || planner_->pressing() || planner_->due() || planner_->sweep_due() || planner_->recalling();
  if (plan || (done == 0 && planner_->has_news())) done += relieve_starved(done != 0);
  done += retry_tiers();
  start_scrubs();
  if (!discards_.none()) discards_.step(clock_());
  was_idle_.store(idle(), std::memory_order_release);
  return done;
}

bool Mover::idle() const noexcept {
  return !has_mail() && free_moves_.size() + strays_ + scrubbing_ == moves_.size() &&
         expanding_first_ == nullptr && departures_.empty();
}

bool Mover::must_poll() const noexcept {
  if (marked_ != nullptr || parted_ != nullptr || waits_for_source_) return true;
  return std::any_of(links_.begin(), links_.end(), [](const LinkState& link) {
    return !link.flights.empty() && link.edge->link->info().wake_fd < 0;
  });
}

void Mover::cancel() noexcept {
  constexpr Status kClosing(Code::kCanceled, "moving a block: the space is closing");
  canceling_ = true;
  for (LinkState& link : links_) link.edge->link->cancel_all();
  check_marks();
  // Real time: nobody makes another clock go on now.
  const std::uint64_t begun_ns = monotonic_ns();
  while (!idle() || scrubbing_ != 0) {
    std::size_t done = poll_links() + take_holds() + take_planned();
    end_late_parted();
    lost_.store(0, std::memory_order_relaxed);
    unblock();
    for (LinkState& link : links_) {
      for (MoveList& queue : link.queues) {
        while (!queue.empty()) {
          end(queue.pop(moves_), kClosing);
          ++done;
        }
      }
    }
    drop_sources();
    if (done != 0) continue;
    if (config_.deadline_ns != 0 && monotonic_ns() - begun_ns >= config_.deadline_ns) {
      for (LinkState& link : links_) abandon(link, kClosing);
    }
    std::this_thread::sleep_for(kPause);
  }
  // No slot is given out any more; the tier waits for what still runs when it ends.
  while (parted_ != nullptr) end_parted(*std::exchange(parted_, parted_->next));
  end_late_parted();
}

}  // namespace kelvin

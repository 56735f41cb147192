// The mover's round and its end. See mover.h.
#include "mover/mover.h"

#include <algorithm>

namespace kelvin {

Mover::Mover(Residency& residency, Topology& topology, HoldPool& holds, Clock& clock,
             const MoverConfig& config)
    : residency_(residency),
      topology_(topology),
      holds_(holds),
      clock_(clock),
      config_(config),
      planned_(config.queue),
      moves_(config.queue),
      links_(topology.edges().size()) {
  free_moves_.reserve(config.queue);
  for (std::uint32_t n = config.queue; n-- > 0;) free_moves_.push_back(n);
  departures_.reserve(4 * static_cast<std::size_t>(config.queue));  // of one round at most
  for (std::size_t i = 0; i < links_.size(); ++i) {
    Topology::Edge* edge = topology.edges()[i].get();
    links_[i].edge = edge;
    links_[i].depth = std::max(1u, edge->link->info().depth);
    link_at_[edge->from.value][edge->to.value] = static_cast<std::uint8_t>(i);
  }
}

std::size_t Mover::round() noexcept {
  if (has_mail()) was_idle_.store(false, std::memory_order_release);
  std::size_t done = poll_links();
  done += drop_sources();
  done += take_holds();
  done += take_planned();
  done += launch();
  drop_sources();
  bool plan = false;
  for (std::uint8_t t = 0; t < residency_.tiers(); ++t) {
    const TierIndex tier(t);
    plan = plan || starved_[t] != 0 || !residency_.online(tier) ||
           (!residency_.slots(tier).adopted() && planner_->short_of(tier, leaving(tier)));
  }
  // In quiet moments the policy hears the news: it may want to save, prefetch or write behind.
  if (plan || planner_->pressing() || planner_->due() || (done == 0 && planner_->has_news()))
    done += relieve_starved(done != 0);
  was_idle_.store(idle(), std::memory_order_release);
  return done;
}

bool Mover::idle() const noexcept {
  return !has_mail() && free_moves_.size() == moves_.size() && expanding_first_ == nullptr &&
         departures_.empty();
}

bool Mover::must_poll() const noexcept {
  return std::any_of(links_.begin(), links_.end(), [](const LinkState& link) {
    return link.in_flight != 0 && link.edge->link->info().wake_fd < 0;
  });
}

void Mover::cancel() noexcept {
  canceling_ = true;
  for (LinkState& link : links_) link.edge->link->cancel_all();
  while (!idle()) {
    std::size_t done = poll_links() + take_holds() + take_planned();
    unblock();
    for (LinkState& link : links_) {
      for (MoveList& queue : link.queues) {
        while (!queue.empty()) {
          end(queue.pop(moves_), Status(Code::kCanceled, "moving a block: the space is closing"));
          ++done;
        }
      }
    }
    drop_sources();
    if (done == 0) ::sched_yield();
  }
}

}  // namespace kelvin

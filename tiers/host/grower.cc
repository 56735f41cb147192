// See grower.h.
#include "tiers/host/grower.h"

#include <algorithm>
#include <exception>
#include <system_error>
#include <utility>

#include "base/format_text.h"
#include "machine/nodes.h"

namespace kelvin {

Grower::Grower(Plan plan) : plan_(std::move(plan)) {
  const std::vector<MemoryNode> nodes = memory_nodes();
  const std::vector<int> cpus = allowed_cpus();
  for (const Arena& arena : plan_.arenas) cpus_.push_back(cpus_near(nodes, arena.node(), cpus));
}

Grower::~Grower() {
  stopping_.store(true, std::memory_order_relaxed);
  if (thread_.joinable()) thread_.join();
}

Status Grower::first(std::string* why) { return step(kFirstStep, why); }

Status Grower::start() {
  try {
    thread_ = std::thread([this] { run(); });
    return {};
  } catch (const std::system_error& error) {
    return {Code::kFull, "starting the thread that makes memory ready", error.code().value()};
  }
}

void Grower::run() noexcept {
  while (!done() && !stopping_.load(std::memory_order_relaxed)) {
    try {
      std::string why;
      const Status status = step(kMaxStep, &why);
      if (status.ok()) continue;
      stopped_ = format_text("tier '{}': {}", plan_.tier, why.empty() ? status.message() : why);
      growth_.stopped.store(stopped_.c_str(), std::memory_order_release);
    } catch (const std::exception&) {
      growth_.stopped.store("no memory for making a tier's memory ready", std::memory_order_release);
    }
    return;
  }
}

// The arenas at the same time: each has a memory controller of its own.
Status Grower::step(std::uint64_t bytes, std::string* why) {
  const std::uint32_t ready = growth_.ready.load(std::memory_order_relaxed);
  const std::uint64_t more = std::max<std::uint64_t>(bytes / plan_.stride_bytes, 1);
  const auto next = static_cast<std::uint32_t>(std::min<std::uint64_t>(plan_.slots, ready + more));
  const std::size_t n = plan_.arenas.size();
  const std::uint64_t of_each = (next + n - 1) / n * plan_.stride_bytes;
  std::vector<std::string> whys(n);
  std::vector<Status> statuses(n);
  const auto one = [&](std::size_t i) noexcept {
    try {
      statuses[i] = plan_.arenas[i].make_ready(of_each, plan_.lock, cpus_[i], &whys[i]);
    } catch (const std::exception&) {
      statuses[i] = Status(Code::kFull, "making memory ready");
    }
  };
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 1; i < n; ++i) {
      try {
        threads.emplace_back(one, i);
      } catch (const std::system_error&) {
        one(i);
      }
    }
    one(0);
  }
  for (std::size_t i = 0; i < n; ++i) {
    if (statuses[i].ok()) continue;
    *why = std::move(whys[i]);
    return statuses[i];
  }
  growth_.ready.store(next, std::memory_order_release);
  return {};
}

}  // namespace kelvin

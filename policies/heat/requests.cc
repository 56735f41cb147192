// See requests.h.
#include "policies/heat/requests.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

namespace kelvin::heat {
namespace {

constexpr float kRecentLogGap = 0.4F;  // weight of the newest gap in the means
constexpr float kRecentGap = 0.5F;
constexpr float kRecentSurprise = 0.3F;
constexpr int kTurns = 7;  // further ones are alike
constexpr int kGapOctaves = 20;
constexpr int kSizeOctaves = 12;
constexpr int kSiblings = 3;  // requests of one session that may be waiting at once
constexpr std::uint8_t kMostMoved = 3;
constexpr std::size_t kMostGrown = 1024;
constexpr std::size_t kFirstGrown = 4;  // younger ones, of less than a second, are not gone yet

float log_gap(std::uint64_t gap_ns) noexcept {
  const float quarters = static_cast<float>(gap_ns) / static_cast<float>(kFirstEdgeNs);
  return quarters <= 1 ? 0 : std::log2(quarters);
}

std::uint8_t gap_octave(float seconds) noexcept {
  return static_cast<std::uint8_t>(1 + octave(static_cast<std::uint64_t>(seconds * 4), kGapOctaves));
}

float log_of(std::uint32_t value) noexcept { return std::log2(static_cast<float>(value) + 1); }

}  // namespace

Requests::Requests(std::uint32_t capacity, const Hazard::Rates& rates)
    : capacity_(capacity), ring_(capacity), latest_(std::bit_ceil(capacity / 4 + 1), kNone), hazard_(rates) {
  grown_.reserve(kMostGrown);
}

std::uint32_t Requests::begin(std::uint64_t now_ns) noexcept {
  let_time_pass(now_ns);
  const std::uint32_t serial = next_++;
  if (next_ == kNone) next_ = 0;  // 4e9 requests on; the ring's older ones are forgotten with it
  if (next_ == 0) count_ = 0;
  count_ = std::min<std::uint32_t>(count_ + 1, capacity());
  Request& request = at(serial);
  request = Request{};
  request.begin_ns = now_ns;
  request.previous = request.sibling = kNone;
  return serial;
}

// Requests are in order of time: those that passed the end of a bin since the last call are the next ones.
void Requests::let_time_pass(std::uint64_t now_ns) noexcept {
  const std::uint32_t oldest = next_ - count_;
  std::array<Hazard::Survivor, Hazard::kMostSurvivors> survivors;
  std::size_t survived = 0;
  for (std::size_t bin = 0; bin + 1 < kBins; ++bin) {
    if (now_ns < due_ns_[bin]) continue;
    std::uint32_t& at = reached_[bin];
    if (next_ - at > count_) at = oldest;
    for (due_ns_[bin] = 0; at != next_; ++at) {
      Request& request = ring_[place_of(at)];
      const std::uint64_t due_ns = request.begin_ns + kEdges[bin + 1];
      if (now_ns < due_ns) {
        due_ns_[bin] = due_ns;
        break;
      }
      prefetch_all(at + 2);  // the next one is looked at in a moment; this memory was last touched a bin ago
      if (std::ranges::any_of(request.waiting, [](std::uint32_t blocks) { return blocks != 0; })) {
        survivors[survived++] = {&request.traits, &request.waiting, bin};
      }
      if (survived == survivors.size())
        hazard_.survived(std::span(survivors).first(std::exchange(survived, 0)));
      if (bin >= kFirstGrown && grown_.size() < kMostGrown) grown_.push_back(at);
    }
  }
  hazard_.survived(std::span(survivors).first(survived));
}

void Requests::follow(Request& request, std::uint32_t previous, std::uint32_t known) noexcept {
  request.previous = previous;
  request.known = known;
}

// The last block of a prompt may be a partial one that no longer prompt can match.
bool Requests::continues(const Request& request, const Request& before) const noexcept {
  return request.known + 1 >= before.depth;
}

bool Requests::describe(Request& request) noexcept {
  const Request* before = find(request.previous);
  const bool continued = before != nullptr && request.known > 0 && continues(request, *before);
  request.turn = 0;
  request.surprise = 0;
  if (continued) {
    const std::uint64_t gap_ns = request.begin_ns - std::min(before->begin_ns, request.begin_ns);
    const float seconds = static_cast<float>(gap_ns) * 1e-9F;
    const bool first = before->turn == 0;
    request.turn = static_cast<std::uint16_t>(std::min(before->turn + 1, 0xFFFF));
    request.last_gap = log_gap(gap_ns);
    request.mean_gap =
        first ? request.last_gap : before->mean_gap + kRecentLogGap * (request.last_gap - before->mean_gap);
    request.linear_gap = first ? seconds : before->linear_gap + kRecentGap * (seconds - before->linear_gap);
    request.surprise = before->surprise * (1 - kRecentSurprise) +
                       kRecentSurprise * (request.last_gap - before->traits.pace[0]);
  }
  Traits& traits = request.traits;
  traits.field[kTurn] = static_cast<std::uint8_t>(std::min<int>(request.turn, kTurns));
  traits.field[kOutput] = octave(request.output, kSizeOctaves);
  const float last_seconds =
      continued ? std::exp2(request.last_gap) * static_cast<float>(kFirstEdgeNs) * 1e-9F : 0;
  traits.field[kGap] = continued ? gap_octave(last_seconds) : std::uint8_t{0};
  traits.field[kMeanGap] = continued ? gap_octave(request.linear_gap) : std::uint8_t{0};
  const auto finish = static_cast<std::uint8_t>(std::min<int>(static_cast<int>(request.finish), 4));
  traits.field[kFinish] = finish;
  traits.field[kFinishGap] = static_cast<std::uint8_t>(finish * 8 + std::min(7, traits.field[kGap] / 2));
  traits.field[kBlocks] = octave(request.depth, kSizeOctaves);
  traits.field[kFresh] = octave(request.depth - std::min(request.known, request.depth), kSizeOctaves);
  traits.field[kKnown] = octave(request.known, kSizeOctaves);
  traits.pace[0] = pace_.foresee(inputs(request));
  traits.pace[1] = continued ? request.last_gap : -1;
  traits.pace[2] = continued ? request.mean_gap : -1;
  traits.field[kMoved] = request.moved;
  request.ready = 0;
  return continued;
}

Pace::Inputs Requests::inputs(const Request& request) noexcept {
  const bool first = request.turn == 0;
  const float output = log_of(request.output);
  return {1,
          first ? 1.0F : 0.0F,
          first ? 0 : request.last_gap - 5,
          first ? 0 : request.mean_gap - 5,
          output - 8,
          std::max(0.0F, output - 8),
          log_of(request.depth) - 6,
          request.finish == FinishReason::kToolUse ? 1.0F : 0.0F,
          request.surprise,
          log_of(request.depth - std::min(request.known, request.depth)) - 2};
}

void Requests::learn_gap(const Request& request) noexcept {
  if (const Request* before = find(request.previous)) pace_.learn(inputs(*before), request.last_gap);
}

// Older turns of a session are linked too; they have few blocks left, and nothing will need those.
void Requests::move_on(std::uint32_t serial, Request& request) noexcept {
  if (request.session == 0) return;
  const std::uint64_t hash = request.session * 0x9E37'79B9'7F4A'7C15;
  std::uint32_t& latest = latest_[(hash >> 32) & (latest_.size() - 1)];
  const Request* newest = find(latest);
  if (newest != nullptr && newest->session == request.session) {
    request.sibling = latest == request.previous ? newest->sibling : latest;
  }
  latest = serial;
  std::uint32_t at = request.sibling;
  for (int i = 0; i < kSiblings; ++i) {
    Request* other = find(at);
    if (other == nullptr || other->session != request.session) break;
    if (at != request.previous && other->moved < kMostMoved) {
      other->traits.field[kMoved] = ++other->moved;
      other->ready = 0;
    }
    at = other->sibling;
  }
}

void Requests::returned(std::uint32_t serial, Part part, std::uint32_t count, std::uint64_t now_ns) noexcept {
  Request* request = find(serial);
  if (request == nullptr || count == 0) return;
  std::uint32_t& waiting = request->waiting[static_cast<std::size_t>(part)];
  count = std::min(count, waiting);
  if (count == 0) return;
  waiting -= count;
  const std::uint64_t age = now_ns - std::min(now_ns, request->begin_ns);
  hazard_.returned(request->traits, age_bin(age), part, count);
}

void Requests::lose(std::uint32_t serial, Part part) noexcept {
  Request* request = find(serial);
  if (request == nullptr) return;
  std::uint32_t& waiting = request->waiting[static_cast<std::size_t>(part)];
  if (waiting != 0) --waiting;
}

// Between the heats at both ends of the bin: older blocks of one kind are colder, or hotter, bit by bit.
float Requests::heat(Request& request, Part part, std::uint64_t now_ns) noexcept {
  const auto p = static_cast<std::size_t>(part);
  const unsigned bit = 1U << p;
  const std::uint64_t age = now_ns - std::min(now_ns, request.begin_ns);
  if (age >= kEdges[request.bin + std::size_t{1}]) {
    request.bin = static_cast<std::uint8_t>(age_bin(age));
    request.ready = 0;
  }
  const std::size_t bin = request.bin;
  if ((request.ready & bit) == 0) {
    const Hazard::Heats heats = hazard_.heats(request.traits, request.bin, part);
    request.heat[p] = heats.now;
    request.next_heat[p] = heats.next;
    request.ready = static_cast<std::uint8_t>(request.ready | bit);
  }
  const auto width = static_cast<float>(kEdges[bin + 1] - kEdges[bin]);
  const float share = std::min(1.0F, static_cast<float>(age - std::min(age, kEdges[bin])) / width);
  return request.heat[p] + share * (request.next_heat[p] - request.heat[p]);
}

}  // namespace kelvin::heat

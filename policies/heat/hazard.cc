// See hazard.h.
#include "policies/heat/hazard.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace kelvin::heat {
namespace {

constexpr float kFirstGuess = -3;  // logit of a use within half an octave, before anything is known
constexpr float kFewReturns = 45;  // half of what is known of a request counts
constexpr std::array<std::size_t, 3> kFinely = {kOutput, kFinish, kBlocks};

// Two to the power of x, within 2e-6 of it. Ours, not the C library's: every machine must come to the same
// decisions, and a loop over it becomes vector instructions.
inline float power_of_2(float x) noexcept {
  x = x < -126.0F ? -126.0F : x;
  x = x > 126.0F ? 126.0F : x;
  const float shifted = x + 12'582'912.0F;  // rounds to the nearest integer, which is in the low bits then
  const std::int32_t whole = std::bit_cast<std::int32_t>(shifted) - 0x4B40'0000;
  const float rest = x - (shifted - 12'582'912.0F);
  float power = 1.333'355'8e-3F;  // the series of 2^x, as far as a half needs it
  power = power * rest + 9.618'129e-3F;
  power = power * rest + 5.550'411e-2F;
  power = power * rest + 2.402'265e-1F;
  power = power * rest + 6.931'472e-1F;
  power = power * rest + 1.0F;
  return power * std::bit_cast<float>((whole + 127) << 23);
}

inline float chance(float logit) noexcept { return 1.0F / (1.0F + power_of_2(-1.442'695F * logit)); }

// Blocks of one part of one request share a fate: many of them say less than as many requests would.
float weight_of(std::uint32_t blocks) noexcept { return std::sqrt(static_cast<float>(blocks)); }

constexpr std::array<float, kBins> make_widths() {
  std::array<float, kBins> widths{};
  for (std::size_t k = 0; k < kBins; ++k) widths[k] = static_cast<float>(kEdges[k + 1] - kEdges[k]) * 1e-9F;
  return widths;
}
constexpr std::array<float, kBins> kWidths = make_widths();  // seconds

}  // namespace

Hazard::Hazard(const Rates& rates) : rates_(rates), weights_(kAll), evidence_(kAll) {
  for (std::size_t k = 0; k < kBins; ++k) weights_[kBase + k] = kFirstGuess;
}

int Hazard::bins_of(float pace) noexcept {
  return static_cast<int>(std::min(2 * pace + 0.5F, static_cast<float>(kMostPace)));
}

void Hazard::terms(const Traits& traits, int bin, std::span<std::uint32_t, kTerms> term) noexcept {
  const auto k = static_cast<std::size_t>(bin);
  std::size_t n = 0;
  const auto add = [&](std::size_t index) { term[n++] = static_cast<std::uint32_t>(index); };
  add(kBase + k);
  for (std::size_t f = 0; f < kFields; ++f) {
    const std::size_t first = kField + (f * kValues + traits.field[f]) * kSlots;
    add(first);
    add(first + 1 + k / kCoarse);
  }
  for (std::size_t f = 0; f < kFineFields; ++f) {
    add(kFineField + (f * kValues + traits.field[kFinely[f]]) * kFineSlots + k / kFine);
  }
  for (std::size_t p = 0; p < kPaces; ++p) {
    const float pace = traits.pace[p];
    const auto from_pace = static_cast<std::size_t>(bin + kMostPace - bins_of(pace));
    add(kPace + p * kRelative + (pace < 0 ? kRelative - 1 : from_pace));
  }
}

void Hazard::part_terms(const Traits& traits, int bin, std::size_t part,
                        std::span<std::uint32_t, kPartTerms> term) noexcept {
  const std::size_t coarse = 1 + static_cast<std::size_t>(bin) / kCoarse;
  const std::size_t turn = std::min<std::size_t>(traits.field[kTurn], kTurnParts - 1);
  const std::size_t own = kPart + part * kSlots;
  const std::size_t with_turn = kPartTurn + (part * kTurnParts + turn) * kSlots;
  term[0] = static_cast<std::uint32_t>(own);
  term[1] = static_cast<std::uint32_t>(own + coarse);
  term[2] = static_cast<std::uint32_t>(with_turn);
  term[3] = static_cast<std::uint32_t>(with_turn + coarse);
}

float Hazard::sum(std::span<const std::uint32_t> term) const noexcept {
  float total = 0;
  for (const std::uint32_t index : term) total += weights_[index];
  return total;
}

void Hazard::step(std::span<const std::uint32_t> term, float gradient) noexcept {
  const float square = gradient * gradient;
  const float reach = rates_.step * gradient;
  for (const std::uint32_t index : term) {
    evidence_[index] = evidence_[index] * rates_.memory + square;
    weights_[index] -= reach / std::sqrt(evidence_[index] + rates_.doubt);
  }
}

void Hazard::survived(const Traits& traits, int bin, std::span<const std::uint32_t, kParts> count) noexcept {
  if (std::ranges::all_of(count, [](std::uint32_t blocks) { return blocks == 0; })) return;
  std::array<std::uint32_t, kTerms> term;
  terms(traits, bin, term);
  const float shared = sum(term);
  float total = 0;
  for (std::size_t part = 0; part < kParts; ++part) {
    if (count[part] == 0) continue;
    std::array<std::uint32_t, kPartTerms> own;
    part_terms(traits, bin, part, own);
    const float gradient = chance(shared + sum(own)) * weight_of(count[part]);
    step(own, gradient);
    total += gradient;
  }
  if (total > 0) step(term, total);
}

void Hazard::returned(const Traits& traits, int bin, Part part, std::uint32_t count) noexcept {
  std::array<std::uint32_t, kTerms> term;
  std::array<std::uint32_t, kPartTerms> own;
  terms(traits, bin, term);
  part_terms(traits, bin, static_cast<std::size_t>(part), own);
  for (std::size_t k = 0; k <= static_cast<std::size_t>(bin); ++k) returns_from_[k] += 1;
  const float gradient = (chance(sum(term) + sum(own)) - 1) * weight_of(count);
  step(own, gradient);
  step(term, gradient);
}

// The chance of a use in each bin from a block's own on, if there was none before. Made as far as it is asked
// for, all bins that share a correction together.
class Hazard::Outlook {
 public:
  Outlook(const Hazard& hazard, const Traits& traits, std::size_t bin, Part part) noexcept;

  float use(std::size_t bin) noexcept {
    while (bin >= made_) make_more();
    return use_[bin];
  }

 private:
  void make_more() noexcept;

  const float* base_;
  float trust_;
  std::array<float, kSlots> coarse_;            // sums over fields and parts: of all bins, then of eight each
  std::array<const float*, kFineFields> fine_;  // of two each
  std::array<const float*, kPaces> pace_;       // of one each
  std::array<std::size_t, kPaces> pace_step_;   // 0: the same for all
  std::array<float, kBins> use_;                // from the first that is asked for on, up to made_
  std::size_t made_;
};

// A wait for the next use that may be given up at the end of any bin: the best ratio of the chance of a use
// to the time spent.
struct Hazard::Wait {
  float alive = 1;  // chance of no use so far
  float spent = 0;  // expected
  float best = 0;

  void through(float use, float seconds) noexcept {
    spent += alive * seconds * (1 - use / 2);
    alive *= 1 - use;
    best = std::max(best, (1 - alive) / spent);
  }
  bool over() const noexcept { return best * spent > 1; }  // nothing that comes can be better
};

// What is known of the request counts in full only where enough blocks of that age and older ones have come
// back: until then blocks of such ages are told apart by age alone, as LRU does.
Hazard::Outlook::Outlook(const Hazard& hazard, const Traits& traits, std::size_t bin, Part part) noexcept
    : base_(&hazard.weights_[kBase]), made_(bin / kCoarse * kCoarse) {
  const float* const weights = hazard.weights_.data();
  const float returns = hazard.returns_from_[bin];
  trust_ = returns / (returns + kFewReturns);
  const float* const own = weights + kPart + static_cast<std::size_t>(part) * kSlots;
  const std::size_t turn = std::min<std::size_t>(traits.field[kTurn], kTurnParts - 1);
  const float* const with_turn =
      weights + kPartTurn + (static_cast<std::size_t>(part) * kTurnParts + turn) * kSlots;
  for (std::size_t slot = 0; slot < kSlots; ++slot) coarse_[slot] = own[slot] + with_turn[slot];
  for (std::size_t f = 0; f < kFields; ++f) {
    const float* const field = weights + kField + (f * kValues + traits.field[f]) * kSlots;
    for (std::size_t slot = 0; slot < kSlots; ++slot) coarse_[slot] += field[slot];
  }
  for (std::size_t f = 0; f < kFineFields; ++f) {
    fine_[f] = weights + kFineField + (f * kValues + traits.field[kFinely[f]]) * kFineSlots;
  }
  for (std::size_t p = 0; p < kPaces; ++p) {
    const float* const pace = weights + kPace + p * kRelative;
    const bool known = traits.pace[p] >= 0;
    pace_[p] = known ? pace + (kMostPace - bins_of(traits.pace[p])) : pace + (kRelative - 1);
    pace_step_[p] = known ? 1 : 0;
  }
}

void Hazard::Outlook::make_more() noexcept {
  std::array<float, kCoarse> logit;
  const std::size_t first = made_;
  const float coarse = coarse_[0] + coarse_[1 + first / kCoarse];
  for (std::size_t k = 0; k < kCoarse; ++k) {
    float fine = 0;
    for (const float* const field : fine_) fine += field[(first + k) / kFine];
    logit[k] = coarse + fine;
  }
  for (std::size_t p = 0; p < kPaces; ++p) {
    for (std::size_t k = 0; k < kCoarse; ++k) logit[k] += pace_[p][(first + k) * pace_step_[p]];
  }
  for (std::size_t k = 0; k < kCoarse; ++k) use_[first + k] = chance(base_[first + k] + trust_ * logit[k]);
  made_ += kCoarse;
}

// For a block in `bin`, and for one in the next: side by side, since each is a chain of dependent steps.
Hazard::Heats Hazard::heats(const Traits& traits, int bin, Part part) const noexcept {
  const auto first = static_cast<std::size_t>(bin);
  Outlook outlook(*this, traits, first, part);
  Wait now;
  Wait next;
  now.through(outlook.use(first), kWidths[first]);
  for (std::size_t k = first + 1; k < kBins && !(now.over() && next.over()); ++k) {
    const float use = outlook.use(k);
    now.through(use, kWidths[k]);
    next.through(use, kWidths[k]);
  }
  return {now.best, next.best};
}

void Hazard::read(std::span<float> numbers) const noexcept {
  auto at = std::ranges::copy(weights_, numbers.begin()).out;
  at = std::ranges::copy(evidence_, at).out;
  std::ranges::copy(returns_from_, at);
}

void Hazard::write(std::span<const float> numbers) noexcept {
  std::ranges::copy(numbers.first(kAll), weights_.begin());
  std::ranges::copy(numbers.subspan(kAll, kAll), evidence_.begin());
  std::ranges::copy(numbers.subspan(2 * kAll, kBins), returns_from_.begin());
}

}  // namespace kelvin::heat

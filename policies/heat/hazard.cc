// See hazard.h: what is learned. (outlook.cc: what it foretells.)
#include "policies/heat/hazard.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "policies/heat/chance.h"

namespace kelvin::heat {
namespace {

constexpr float kFirstGuess = -3;  // logit of a use within half an octave, before anything is known
constexpr float kNoise = 0.15F;    // how far from zero outcomes without a meaning may lead a weight
constexpr float kBaseSteps = 2;    // what all requests have in common is learned at the bin itself, sooner

// What a weight says: nothing as long as chance may have led it there.
inline float counted(float weight) noexcept {
  float noise = weight < -kNoise ? -kNoise : weight;
  noise = noise > kNoise ? kNoise : noise;
  return weight - noise;
}

// Blocks of one part of one request share a fate: many of them say less than as many requests would.
float weight_of(std::uint32_t blocks) noexcept { return std::sqrt(static_cast<float>(blocks)); }

}  // namespace

Hazard::Hazard(const Rates& rates) : rates_(rates), weights_(kAll), counted_(kAll) {
  for (std::size_t k = 0; k < kBins; ++k) weights_[kBase + k].value = kFirstGuess;
  count_weights();
}

void Hazard::count_weights() noexcept {
  static_assert(kBase == 0, "the bins' own come first, and count as they are");
  for (std::size_t i = 0; i < kAll; ++i) {
    const float weight = weights_[i].value;
    counted_[i] = i < kBins ? weight : counted(weight);
  }
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

// What they count for together, but for the bin's own. In four sums, which do not wait for each other.
template <std::size_t kCount>
float Hazard::known(const std::array<std::uint32_t, kCount>& term) const noexcept {
  float a = 0, b = 0, c = 0, d = 0;
  std::size_t i = kCount == kTerms ? 1 : 0;
  for (; i + 4 <= kCount; i += 4) {
    a += counted_[term[i]];
    b += counted_[term[i + 1]];
    c += counted_[term[i + 2]];
    d += counted_[term[i + 3]];
  }
  for (; i < kCount; ++i) a += counted_[term[i]];
  return (a + b) + (c + d);
}

// No index comes twice: what is gathered may be computed on side by side.
template <std::size_t kCount>
void Hazard::step(const std::array<std::uint32_t, kCount>& term, float gradient) noexcept {
  constexpr std::size_t kWhole = (kCount + 3) / 4 * 4;  // whole vectors
  constexpr bool kWithBase = kCount == kTerms;          // the first is the bin's own
  const float square = gradient * gradient;
  const float reach = rates_.step * gradient;
  std::array<float, kWhole> evidence{};
  std::array<float, kWhole> weight{};
  std::array<float, kWhole> way;
  std::array<float, kWhole> counts;
  for (std::size_t i = 0; i < kCount; ++i) {
    weight[i] = weights_[term[i]].value;
    evidence[i] = weights_[term[i]].evidence;
  }
  for (std::size_t i = 0; i < kWhole; ++i) {
    evidence[i] = evidence[i] * rates_.memory + square;
    way[i] = reach / std::sqrt(evidence[i] + rates_.doubt);
  }
  if constexpr (kWithBase) way[0] *= kBaseSteps;
  for (std::size_t i = 0; i < kWhole; ++i) {
    weight[i] -= way[i];
    counts[i] = counted(weight[i]);
  }
  if constexpr (kWithBase) counts[0] = weight[0];
  for (std::size_t i = 0; i < kCount; ++i) {
    weights_[term[i]] = {weight[i], evidence[i]};
    counted_[term[i]] = counts[i];
  }
}

// What became of blocks of one part of a request in one bin; computed on side by side, in whole vectors.
template <std::size_t kMost>
struct Hazard::Outcomes {
  static_assert(kMost % 4 == 0);

  void add(std::size_t of_bin, float of_base, float of_known, float of_weight) noexcept {
    bin[count] = static_cast<std::uint8_t>(of_bin);
    base[count] = of_base;
    known[count] = of_known;
    weight[count++] = of_weight;
  }
  // Fills the last vector with what has no weight. Returns where it ends.
  std::size_t fill_up() noexcept {
    std::size_t end = count;
    for (; end % 4 != 0; ++end) base[end] = known[end] = weight[end] = factor[end] = 0;
    return end;
  }

  std::size_t count = 0;
  std::array<std::uint8_t, kMost> bin;
  std::array<float, kMost> base;      // logit of the bin alone
  std::array<float, kMost> known;     // and what is known of the request adds to it
  std::array<float, kMost> weight;    // how much it says
  std::array<float, kMost> factor;    // see Fit
  std::array<float, kMost> slope;     // its evidence for the factor
  std::array<float, kMost> error;     // and which way
  std::array<float, kMost> gradient;  // of the logit
};

// The gradients, and a step of Newton's method with each outcome for the factor alone.
template <std::size_t kMost>
void Hazard::weigh(Outcomes<kMost>& outcomes, float used) noexcept {
  std::array<float, kBins / kCoarse> factor;
  for (std::size_t i = 0; i < factor.size(); ++i) {
    factor[i] = std::clamp(fits_[i].factor / (fits_[i].evidence + kDoubtInFit), 0.0F, 1.0F);
  }
  for (std::size_t i = 0; i < outcomes.count; ++i) outcomes.factor[i] = factor[outcomes.bin[i] / kCoarse];
  const std::size_t end = outcomes.fill_up();
  for (std::size_t i = 0; i < end; ++i) {
    const float known = outcomes.known[i];
    const float foretold = chance(outcomes.base[i] + outcomes.factor[i] * known);
    outcomes.slope[i] = outcomes.weight[i] * foretold * (1 - foretold) * known * known;
    outcomes.error[i] = outcomes.weight[i] * (used - foretold) * known;
    outcomes.gradient[i] = outcomes.weight[i] * (chance(outcomes.base[i] + known) - used);
  }
  for (std::size_t i = 0; i < outcomes.count; ++i) {
    Fit& fit = fits_[outcomes.bin[i] / kCoarse];
    fit.factor = fit.factor * rates_.memory + outcomes.slope[i] * outcomes.factor[i] + outcomes.error[i];
    fit.evidence = fit.evidence * rates_.memory + outcomes.slope[i];
  }
}

void Hazard::survived(std::span<const Survivor> survivors) noexcept {
  std::array<std::array<std::uint32_t, kTerms>, kMostSurvivors> shared;
  std::array<std::array<std::uint32_t, kPartTerms>, kMostSurvivors * kParts> own;
  Outcomes<kMostSurvivors * kParts> outcomes;
  for (std::size_t i = 0; i < survivors.size(); ++i) {
    const Survivor& survivor = survivors[i];
    terms(*survivor.traits, static_cast<int>(survivor.bin), shared[i]);
    const float of_all = known(shared[i]);
    for (std::size_t part = 0; part < kParts; ++part) {
      if ((*survivor.waiting)[part] == 0) continue;
      auto& term = own[outcomes.count];
      part_terms(*survivor.traits, static_cast<int>(survivor.bin), part, term);
      outcomes.add(survivor.bin, counted_[kBase + survivor.bin], of_all + known(term),
                   weight_of((*survivor.waiting)[part]));
    }
  }
  weigh(outcomes, 0);
  std::size_t next = 0;
  for (std::size_t i = 0; i < survivors.size(); ++i) {
    float total = 0;
    for (const std::uint32_t waiting : *survivors[i].waiting) {
      if (waiting == 0) continue;
      step(own[next], outcomes.gradient[next]);
      total += outcomes.gradient[next++];
    }
    if (total > 0) step(shared[i], total);
  }
}

void Hazard::returned(const Traits& traits, int bin, Part part, std::uint32_t count) noexcept {
  std::array<std::uint32_t, kTerms> term;
  std::array<std::uint32_t, kPartTerms> own;
  terms(traits, bin, term);
  part_terms(traits, bin, static_cast<std::size_t>(part), own);
  const auto last = static_cast<std::size_t>(bin);
  for (std::size_t k = 0; k <= last; ++k) returns_from_[k] += 1;
  Outcomes<4> outcomes;
  outcomes.add(last, counted_[kBase + last], known(term) + known(own), weight_of(count));
  weigh(outcomes, 1);
  step(own, outcomes.gradient[0]);
  step(term, outcomes.gradient[0]);
}

void Hazard::read(std::span<float> numbers) const noexcept {
  auto at = std::ranges::transform(weights_, numbers.begin(), &Weight::value).out;
  at = std::ranges::transform(weights_, at, &Weight::evidence).out;
  at = std::ranges::copy(returns_from_, at).out;
  for (const Fit& fit : fits_) {
    *at++ = fit.factor;
    *at++ = fit.evidence;
  }
}

void Hazard::write(std::span<const float> numbers) noexcept {
  for (std::size_t i = 0; i < kAll; ++i) weights_[i] = {numbers[i], numbers[kAll + i]};
  count_weights();
  std::ranges::copy(numbers.subspan(2 * kAll, kBins), returns_from_.begin());
  for (std::size_t i = 0; i < fits_.size(); ++i) {
    const std::span<const float> fit = numbers.subspan(2 * kAll + kBins + 2 * i, 2);
    fits_[i] = {fit[0], std::max(fit[1], 0.0F)};
  }
}

}  // namespace kelvin::heat

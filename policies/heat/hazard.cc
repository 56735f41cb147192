// See hazard.h.
#include "policies/heat/hazard.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <utility>

namespace kelvin::heat {
namespace {

constexpr float kFirstGuess = -3;   // logit of a use within half an octave, before anything is known
constexpr float kFewReturns = 60;   // half of what is known of a request counts
constexpr float kDoubtInFit = 40;   // evidence that must come in before what is known counts for half
constexpr float kMostTrust = 1.1F;  // first steps are short: later what is known says more than was learned
constexpr float kNoise = 0.15F;     // how far from zero outcomes without a meaning may lead a weight
constexpr float kBaseSteps = 2;     // what all requests have in common is learned at the bin itself, sooner
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

// What a weight says: nothing as long as chance may have led it there.
inline float counted(float weight) noexcept {
  float noise = weight < -kNoise ? -kNoise : weight;
  noise = noise > kNoise ? kNoise : noise;
  return weight - noise;
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

// What is known of the request counts in full only where enough blocks of that age and older ones have come
// back: until then blocks of such ages are told apart by age alone, as LRU does. And only as far as it has
// proved right.
float Hazard::trust(std::size_t bin) const noexcept {
  const float returns = returns_from_[bin];
  const Fit& fit = fits_[bin / kCoarse];
  const float factor = std::clamp(fit.factor / (fit.evidence + kDoubtInFit), 0.0F, kMostTrust);
  return factor * returns / (returns + kFewReturns);
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

// The chance of a use in each bin, if there was none before; made for all bins that share a correction
// together.
class Hazard::Outlook {
 public:
  Outlook(const Hazard& hazard, const Traits& traits, std::size_t bin, Part part) noexcept;

  // Precondition: `first` is a multiple of kCoarse.
  std::array<float, kCoarse> from(std::size_t first) const noexcept;

 private:
  const float* base_;
  float trust_;
  std::array<float, kSlots> coarse_;            // sums over fields and parts: of all bins, then of eight each
  std::array<const float*, kFineFields> fine_;  // of two each
  std::array<const float*, kPaces> pace_;       // of one each
  std::array<std::size_t, kPaces> pace_step_;   // 0: the same for all
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

Hazard::Outlook::Outlook(const Hazard& hazard, const Traits& traits, std::size_t bin, Part part) noexcept
    : base_(&hazard.counted_[kBase]), trust_(hazard.trust(bin)) {
  const float* const weights = hazard.counted_.data();
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

inline std::array<float, Hazard::kCoarse> Hazard::Outlook::from(std::size_t first) const noexcept {
  std::array<float, kCoarse> logit;
  const float coarse = coarse_[0] + coarse_[1 + first / kCoarse];
  for (std::size_t k = 0; k < kCoarse; k += kFine) {
    float fine = 0;
    for (const float* const field : fine_) fine += field[(first + k) / kFine];
    logit[k] = logit[k + 1] = coarse + fine;
  }
  for (std::size_t p = 0; p < kPaces; ++p) {
    const float* const pace = pace_[p] + first * pace_step_[p];
    if (pace_step_[p] == 0) {
      for (float& sum : logit) sum += *pace;
    } else {
      for (std::size_t k = 0; k < kCoarse; ++k) logit[k] += pace[k];
    }
  }
  std::array<float, kCoarse> use;
  for (std::size_t k = 0; k < kCoarse; ++k) use[k] = chance(base_[first + k] + trust_ * logit[k]);
  return use;
}

// For a block in `bin`, and for one in the next: side by side, since each is a chain of dependent steps.
Hazard::Heats Hazard::heats(const Traits& traits, int bin, Part part) const noexcept {
  auto k = static_cast<std::size_t>(bin);
  const Outlook outlook(*this, traits, k, part);
  Wait now;
  Wait next;
  for (bool first = true; k < kBins && !(now.over() && next.over());) {
    const std::size_t end = (k / kCoarse + 1) * kCoarse;
    const std::array<float, kCoarse> use = outlook.from(end - kCoarse);
    if (std::exchange(first, false)) {
      now.through(use[k % kCoarse], kWidths[k]);
      ++k;
    }
    for (; k < end; ++k) {
      now.through(use[k % kCoarse], kWidths[k]);
      next.through(use[k % kCoarse], kWidths[k]);
    }
  }
  return {now.best, next.best};
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

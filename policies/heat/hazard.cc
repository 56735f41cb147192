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

// By bin. Terms that stay the same for some bins are summed for all of these at once. What is known of the
// request counts in full only where enough blocks of that age and older ones have come back: until then
// blocks of such ages are told apart by age alone, as LRU does.
Hazard::Chances Hazard::chances(const Traits& traits, int bin, Part part) const noexcept {
  const float* const own = &weights_[kPart + static_cast<std::size_t>(part) * kSlots];
  const std::size_t turn = std::min<std::size_t>(traits.field[kTurn], kTurnParts - 1);
  const float* const with_turn =
      &weights_[kPartTurn + (static_cast<std::size_t>(part) * kTurnParts + turn) * kSlots];
  std::array<float, kSlots> coarse;
  for (std::size_t slot = 0; slot < kSlots; ++slot) coarse[slot] = own[slot] + with_turn[slot];
  for (std::size_t f = 0; f < kFields; ++f) {
    const float* const field = &weights_[kField + (f * kValues + traits.field[f]) * kSlots];
    for (std::size_t slot = 0; slot < kSlots; ++slot) coarse[slot] += field[slot];
  }
  std::array<float, kFineSlots> fine{};
  for (std::size_t f = 0; f < kFineFields; ++f) {
    const float* const field = &weights_[kFineField + (f * kValues + traits.field[kFinely[f]]) * kFineSlots];
    for (std::size_t slot = 0; slot < kFineSlots; ++slot) fine[slot] += field[slot];
  }
  Chances logit;
  for (std::size_t k = 0; k < kBins; ++k) logit[k] = coarse[0] + coarse[1 + k / kCoarse] + fine[k / kFine];
  for (std::size_t p = 0; p < kPaces; ++p) {
    const float* const pace = &weights_[kPace + p * kRelative];
    if (traits.pace[p] < 0) {
      for (std::size_t k = 0; k < kBins; ++k) logit[k] += pace[kRelative - 1];
    } else {
      const float* const from = pace + (kMostPace - bins_of(traits.pace[p]));
      for (std::size_t k = 0; k < kBins; ++k) logit[k] += from[k];
    }
  }
  const float returns = returns_from_[static_cast<std::size_t>(bin)];
  const float trust = returns / (returns + kFewReturns);
  for (std::size_t k = 0; k < kBins; ++k) logit[k] = chance(weights_[kBase + k] + trust * logit[k]);
  return logit;
}

float Hazard::index(const Chances& use, std::size_t bin) noexcept {
  float alive = 1;
  float spent = 0;
  float best = 0;
  for (std::size_t k = bin; k < kBins; ++k) {
    spent += alive * kWidths[k] * (1 - use[k] / 2);
    alive *= 1 - use[k];
    if (1 - alive > best * spent) best = (1 - alive) / spent;
    if (1 < best * spent) break;  // waiting longer cannot be better, whatever comes
  }
  return best;
}

Hazard::Heats Hazard::heats(const Traits& traits, int bin, Part part) const noexcept {
  const Chances use = chances(traits, bin, part);
  const auto k = static_cast<std::size_t>(bin);
  return {index(use, k), index(use, k + 1)};
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

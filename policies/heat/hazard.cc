// See hazard.h.
#include "policies/heat/hazard.h"

#include <algorithm>
#include <cmath>

namespace kelvin::heat {
namespace {

constexpr float kFirstGuess = -3;  // logit of a use within half an octave, before anything is known
constexpr std::array<std::size_t, 3> kFinely = {kOutput, kFinish, kBlocks};

float chance(float logit) noexcept { return 1.0F / (1.0F + std::exp(-logit)); }

// Blocks of one part of one request share a fate: many of them say less than as many requests would.
float weight_of(std::uint32_t blocks) noexcept { return std::sqrt(static_cast<float>(blocks)); }

constexpr std::array<float, kBins> make_widths() {
  std::array<float, kBins> widths{};
  for (std::size_t k = 0; k < kBins; ++k) widths[k] = static_cast<float>(kEdges[k + 1] - kEdges[k]) * 1e-9F;
  return widths;
}
constexpr std::array<float, kBins> kWidths = make_widths();  // seconds

}  // namespace

Hazard::Hazard(const Rates& rates) : rates_(rates), weights_(kAll) {
  for (std::size_t k = 0; k < kBins; ++k) weights_[kBase + k].value = kFirstGuess;
}

std::size_t Hazard::relative(float pace, int bin) noexcept {
  if (pace < 0) return kRelative - 1;
  const int from_pace = bin - static_cast<int>(std::lround(2 * pace)) + 60;
  return static_cast<std::size_t>(std::clamp(from_pace, 0, static_cast<int>(kRelative) - 2));
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
  for (std::size_t p = 0; p < kPaces; ++p) add(kPace + p * kRelative + relative(traits.pace[p], bin));
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
  for (const std::uint32_t index : term) total += weights_[index].value;
  return total;
}

void Hazard::step(std::span<const std::uint32_t> term, float gradient) noexcept {
  const float square = gradient * gradient;
  const float reach = rates_.step * gradient;
  for (const std::uint32_t index : term) {
    Weight& weight = weights_[index];
    weight.evidence = weight.evidence * rates_.memory + square;
    weight.value -= reach / std::sqrt(weight.evidence + rates_.doubt);
  }
}

void Hazard::survived(const Traits& traits, int bin, std::span<const std::uint32_t, kParts> count) noexcept {
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
  const float gradient = (chance(sum(term) + sum(own)) - 1) * weight_of(count);
  step(own, gradient);
  step(term, gradient);
}

// Sums of the terms that stay the same for some bins are kept while they do: this is the hot path.
float Hazard::heat(const Traits& traits, int bin, Part part) const noexcept {
  const Weight* const own = &weights_[kPart + static_cast<std::size_t>(part) * kSlots];
  const std::size_t turn = std::min<std::size_t>(traits.field[kTurn], kTurnParts - 1);
  const Weight* const with_turn =
      &weights_[kPartTurn + (static_cast<std::size_t>(part) * kTurnParts + turn) * kSlots];
  float always = own[0].value + with_turn[0].value;
  std::array<const Weight*, kFields> fields;
  for (std::size_t f = 0; f < kFields; ++f) {
    fields[f] = &weights_[kField + (f * kValues + traits.field[f]) * kSlots];
    always += fields[f][0].value;
  }
  float coarse = 0;
  float fine = 0;
  float alive = 1;
  float spent = 0;
  float best = 0;
  for (int k = bin; k < kBins; ++k) {
    const auto at = static_cast<std::size_t>(k);
    if (k == bin || k % kCoarse == 0) {
      const std::size_t slot = 1 + at / kCoarse;
      coarse = own[slot].value + with_turn[slot].value;
      for (const Weight* field : fields) coarse += field[slot].value;
    }
    if (k == bin || k % kFine == 0) {
      fine = 0;
      for (std::size_t f = 0; f < kFineFields; ++f) {
        fine +=
            weights_[kFineField + (f * kValues + traits.field[kFinely[f]]) * kFineSlots + at / kFine].value;
      }
    }
    float logit = always + coarse + fine + weights_[kBase + at].value;
    for (std::size_t p = 0; p < kPaces; ++p) {
      logit += weights_[kPace + p * kRelative + relative(traits.pace[p], k)].value;
    }
    const float use = chance(logit);
    spent += alive * kWidths[at] * (1 - use / 2);
    alive *= 1 - use;
    if (1 - alive > best * spent) best = (1 - alive) / spent;
    if (1 < best * spent) break;  // waiting longer cannot be better, whatever comes
  }
  return best;
}

void Hazard::read(std::span<float> weights, std::span<float> evidence) const noexcept {
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    weights[i] = weights_[i].value;
    evidence[i] = weights_[i].evidence;
  }
}

void Hazard::write(std::span<const float> weights, std::span<const float> evidence) noexcept {
  for (std::size_t i = 0; i < weights_.size(); ++i) weights_[i] = {weights[i], evidence[i]};
}

}  // namespace kelvin::heat

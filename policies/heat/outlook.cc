// See hazard.h: what is foretold of a block, bin by bin, from what hazard.cc learned.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "policies/heat/chance.h"
#include "policies/heat/hazard.h"

namespace kelvin::heat {
namespace {

constexpr float kFewReturns = 60;   // half of what is known of a request counts
constexpr float kMostTrust = 1.1F;  // first steps are short: later what is known says more than was learned

constexpr std::array<float, kBins> make_widths() {
  std::array<float, kBins> widths{};
  for (std::size_t k = 0; k < kBins; ++k) widths[k] = static_cast<float>(kEdges[k + 1] - kEdges[k]) * 1e-9F;
  return widths;
}
constexpr std::array<float, kBins> kWidths = make_widths();  // seconds

}  // namespace

// What is known of the request counts in full only where enough blocks of that age and older ones have come
// back: until then blocks of such ages are told apart by age alone, as LRU does. And only as far as it has
// proved right.
float Hazard::trust(std::size_t bin) const noexcept {
  const float returns = returns_from_[bin];
  const Fit& fit = fits_[bin / kCoarse];
  const float factor = std::clamp(fit.factor / (fit.evidence + kDoubtInFit), 0.0F, kMostTrust);
  return factor * returns / (returns + kFewReturns);
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

}  // namespace kelvin::heat

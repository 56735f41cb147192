// How likely the blocks of a request are to be used again at each age, learned from what happened.
//
// A logistic model of "used again while in this bin of ages, if not before". Its terms are weights looked up
// by what is known of the request (turn, length of the answer, gaps between turns, how the answer ended,
// blocks) and of the block's part in it, each weight with a correction for every four octaves of age;
// the age relative to the gaps seen and foreseen enters bin by bin. Learned one outcome at a time by gradient
// steps that shrink as evidence grows (AdaGrad), so that few outcomes move little and nothing is ever
// recomputed. Of each weight but a bin's own only that counts by which it is farther from zero than chance
// would lead it (soft thresholding): of the many that are learned, most mean nothing.
//
// Source: Duchi et al., "Adaptive subgradient methods", JMLR 2011; Donoho, "De-noising by soft-thresholding",
// IEEE Transactions on Information Theory 1995; discrete-time survival: Singer and Willett, 1993; index of a
// policy that may stop at any age: Gittins, 1979.
//
// Thread contract: one thread. Allocates at construction only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "policies/heat/ages.h"

namespace kelvin::heat {

// The part a block played in the last request that used it.
enum class Part : std::uint8_t {
  kTail,    // new, and the last of the prompt: often a partial block that nothing will ever match
  kBody,    // new
  kOwn,     // known before, and only ever continued
  kForked,  // known before, and left once for another continuation
  kShared,  // left two to seven times
  kCommon,  // left eight times or more
};
inline constexpr std::size_t kParts = 6;

// What is known of one request, in bins.
enum Field : std::uint8_t {
  kTurn,
  kOutput,
  kGap,
  kFinish,
  kBlocks,
  kFresh,
  kFinishGap,
  kMeanGap,
  kKnown,
  kMoved
};
inline constexpr std::size_t kFields = 10;
inline constexpr std::size_t kValues = 40;  // of one field
inline constexpr std::size_t kPaces = 3;    // foreseen gap, last gap, mean gap

struct Traits {
  std::array<std::uint8_t, kFields> field{};
  // Logarithms of base 2 of gaps in first edges (a quarter of a second); negative: there is none.
  std::array<float, kPaces> pace{-1, -1, -1};
};

class Hazard {
 public:
  struct Rates {
    float step = 0.1F;    // of the first outcomes
    float doubt = 10.0F;  // evidence that must come in before steps shrink
    float memory = 1.0F;  // share of the evidence kept with each further outcome
  };
  explicit Hazard(const Rates& rates);

  // A request that reached the end of `bin`, with so many blocks in each part that nobody had used again.
  struct Survivor {
    const Traits* traits = nullptr;
    const std::array<std::uint32_t, kParts>* waiting = nullptr;
    std::size_t bin = 0;
  };
  // Learned from at once: none waits for another's arithmetic. More of them learn worse.
  static constexpr std::size_t kMostSurvivors = 2;

  // What is learned of one of them counts for those in later calls. Precondition: at most kMostSurvivors.
  void survived(std::span<const Survivor> survivors) noexcept;
  // `count` blocks in `part` were used again at that age.
  void returned(const Traits& traits, int bin, Part part, std::uint32_t count) noexcept;

  // Heat of a block that has reached `bin`, and the next one: the largest ratio, over all times to wait, of
  // the chance of a use to the expected time in the tier; in uses a second.
  struct Heats {
    float now = 0;
    float next = 0;
  };
  Heats heats(const Traits& traits, int bin, Part part) const noexcept;

  // What was learned, as numbers in a fixed order.
  static std::size_t numbers() noexcept { return 2 * kAll + kBins + 2 * (kBins / kCoarse); }
  void read(std::span<float> numbers) const noexcept;
  void write(std::span<const float> numbers) noexcept;

 private:
  class Outlook;
  struct Wait;

  static constexpr int kCoarse = 8;  // bins that share a correction
  static constexpr int kFine = 2;
  static constexpr std::size_t kSlots = 1 + kBins / kCoarse;
  static constexpr std::size_t kFineSlots = kBins / kFine;
  // Those that say how long an answer takes.
  static constexpr std::array<std::size_t, 3> kFinely = {kOutput, kFinish, kBlocks};
  static constexpr std::size_t kFineFields = kFinely.size();
  static constexpr int kMostPace = 60;           // in bins
  static constexpr std::size_t kRelative = 122;  // bins from the pace, then "no pace"
  static constexpr std::size_t kTurnParts = 8;

  // Where each table starts in weights_.
  static constexpr std::size_t kBase = 0;
  static constexpr std::size_t kField = kBase + kBins;
  static constexpr std::size_t kFineField = kField + kFields * kValues * kSlots;
  static constexpr std::size_t kPace = kFineField + kFineFields * kValues * kFineSlots;
  static constexpr std::size_t kPart = kPace + kPaces * kRelative;
  static constexpr std::size_t kPartTurn = kPart + kParts * kSlots;
  static constexpr std::size_t kAll = kPartTurn + kParts * kTurnParts * kSlots;

  static constexpr std::size_t kTerms = 1 + 2 * kFields + kFineFields + kPaces;
  static constexpr std::size_t kPartTerms = 4;

  static void terms(const Traits& traits, int bin, std::span<std::uint32_t, kTerms> term) noexcept;
  static void part_terms(const Traits& traits, int bin, std::size_t part,
                         std::span<std::uint32_t, kPartTerms> term) noexcept;
  static int bins_of(float pace) noexcept;
  void count_weights() noexcept;
  template <std::size_t kCount>
  float known(const std::array<std::uint32_t, kCount>& term) const noexcept;
  template <std::size_t kMost>
  struct Outcomes;
  template <std::size_t kMost>
  void weigh(Outcomes<kMost>& outcomes, float used) noexcept;
  template <std::size_t kCount>
  void step(const std::array<std::uint32_t, kCount>& term, float gradient) noexcept;
  float trust(std::size_t bin) const noexcept;

  const Rates rates_;
  struct Weight {
    float value = 0;
    float evidence = 0;  // sum of squared gradients
  };
  std::vector<Weight> weights_;
  std::vector<float> counted_;  // what of each weight's value counts
  std::array<float, kBins>
      returns_from_{};  // by bin: how many times blocks of that age or older ones came back
  static constexpr float kDoubtInFit = 40;  // evidence that must come in before what is known counts for half
  // By how much what is known of requests foretells too much: the factor for its part of the logit that would
  // have fitted the outcomes so far best, each of which was foretold before it was learned from. One for all
  // bins that share a correction.
  struct Fit {
    float factor = 0;  // times the evidence
    float evidence = 0;
  };
  std::array<Fit, kBins / kCoarse> fits_{};
};

}  // namespace kelvin::heat

// When a session is likely to send its next request, if it does: a regression of the gap on what is known.
//
// Recursive least squares on logarithms, with forgetting: long answers take time to make and to read, and
// a session keeps its own rhythm.
//
// Source: Plackett, "Some theorems in least squares", Biometrika 1950.
//
// Thread contract: one thread. Allocates nothing.
#pragma once

#include <array>
#include <cstddef>

namespace kelvin::heat {

class Pace {
 public:
  static constexpr std::size_t kInputs = 10;
  using Inputs = std::array<float, kInputs>;

  Pace() noexcept;

  // Logarithm of base 2 of the gap in quarters of a second.
  float foresee(const Inputs& inputs) const noexcept;
  void learn(const Inputs& inputs, float gap) noexcept;

  // What was learned, in a fixed order.
  static constexpr std::size_t kNumbers = kInputs * (kInputs + 1);
  void read(float* numbers) const noexcept;
  void write(const float* numbers) noexcept;

 private:
  std::array<double, kInputs> weights_{};
  std::array<std::array<double, kInputs>, kInputs> covariance_{};
};

}  // namespace kelvin::heat

// See pace.h.
#include "policies/heat/pace.h"

#include <algorithm>

namespace kelvin::heat {
namespace {

constexpr double kMemory = 0.9995;     // share of the past kept with each gap: a half-life of 1386 gaps
constexpr double kFirstGuess = 6;      // 16 s
constexpr double kMostVariance = 100;  // where inputs do not vary, forgetting must not wind this up
constexpr double kLongest = 20;        // three days

}  // namespace

Pace::Pace() noexcept {
  weights_[0] = kFirstGuess;
  for (std::size_t i = 0; i < kInputs; ++i) covariance_[i][i] = 1;
}

float Pace::foresee(const Inputs& inputs) const noexcept {
  double gap = 0;
  for (std::size_t i = 0; i < kInputs; ++i) gap += weights_[i] * static_cast<double>(inputs[i]);
  return static_cast<float>(std::clamp(gap, 0.0, kLongest));
}

void Pace::learn(const Inputs& inputs, float gap) noexcept {
  std::array<double, kInputs> gain{};
  double scale = kMemory;
  auto error = static_cast<double>(gap);
  for (std::size_t i = 0; i < kInputs; ++i) {
    for (std::size_t j = 0; j < kInputs; ++j) gain[i] += covariance_[i][j] * static_cast<double>(inputs[j]);
    scale += gain[i] * static_cast<double>(inputs[i]);
    error -= weights_[i] * static_cast<double>(inputs[i]);
  }
  for (std::size_t i = 0; i < kInputs; ++i) {
    weights_[i] += gain[i] / scale * error;
    for (std::size_t j = 0; j < kInputs; ++j) {
      covariance_[i][j] = (covariance_[i][j] - gain[i] * gain[j] / scale) / kMemory;
    }
    covariance_[i][i] = std::min(covariance_[i][i], kMostVariance);
  }
}

void Pace::read(float* numbers) const noexcept {
  for (const double weight : weights_) *numbers++ = static_cast<float>(weight);
  for (const auto& row : covariance_) {
    for (const double value : row) *numbers++ = static_cast<float>(value);
  }
}

void Pace::write(const float* numbers) noexcept {
  for (double& weight : weights_) weight = static_cast<double>(*numbers++);
  for (auto& row : covariance_) {
    for (double& value : row) value = static_cast<double>(*numbers++);
  }
}

}  // namespace kelvin::heat

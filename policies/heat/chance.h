// A chance from its logit, the same on every machine.
//
// Thread contract: any thread.
#pragma once

#include <bit>
#include <cstdint>

namespace kelvin::heat {

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

}  // namespace kelvin::heat

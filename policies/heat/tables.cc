// See tables.h.
#include "policies/heat/tables.h"

#include <bit>
#include <cmath>
#include <cstdint>

#include "checksum/crc32c.h"
#include "policies/heat/policy.h"

namespace kelvin::heat {
namespace {

constexpr std::uint32_t kMagic = 0x3154'484B;  // "KHT1"
constexpr std::uint32_t kVersion = 2;          // of what the numbers mean
constexpr std::size_t kWord = 4;
constexpr std::size_t kHeaderWords = 3;

void put_word(std::uint32_t word, std::vector<std::byte>& bytes) {
  for (unsigned shift = 0; shift < 32; shift += 8)
    bytes.push_back(static_cast<std::byte>(word >> shift & 255));
}

std::uint32_t word_at(std::span<const std::byte> bytes, std::size_t index) noexcept {
  std::uint32_t word = 0;
  for (std::size_t i = 0; i < kWord; ++i) {
    word |= std::to_integer<std::uint32_t>(bytes[index * kWord + i]) << (8 * i);
  }
  return word;
}

}  // namespace

void write_tables(std::span<const float> numbers, std::vector<std::byte>& bytes) {
  const std::size_t start = bytes.size();
  bytes.reserve(start + (kHeaderWords + numbers.size() + 1) * kWord);
  put_word(kMagic, bytes);
  put_word(kVersion, bytes);
  put_word(static_cast<std::uint32_t>(numbers.size()), bytes);
  for (const float number : numbers) put_word(std::bit_cast<std::uint32_t>(number), bytes);
  put_word(crc32c(bytes.data() + start, bytes.size() - start), bytes);
}

Status read_tables(std::span<const std::byte> bytes, std::span<float> numbers) noexcept {
  if (bytes.size() < (kHeaderWords + 1) * kWord || word_at(bytes, 0) != kMagic) {
    return Status(Code::kCorrupt, "heat tables: not a file of learned tables");
  }
  if (word_at(bytes, 1) != kVersion || word_at(bytes, 2) != numbers.size()) {
    return Status(Code::kUnsupported, "heat tables: written by another version");
  }
  const std::size_t words = kHeaderWords + numbers.size();
  if (bytes.size() != (words + 1) * kWord || crc32c(bytes.data(), words * kWord) != word_at(bytes, words)) {
    return Status(Code::kCorrupt, "heat tables: cut short or altered");
  }
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = std::bit_cast<float>(word_at(bytes, kHeaderWords + i));
    if (!std::isfinite(numbers[i])) return Status(Code::kCorrupt, "heat tables: not a number");
  }
  return Status();
}

void HeatPolicy::save(std::vector<std::byte>& bytes) const {
  const std::size_t hazard = Hazard::numbers();
  std::vector<float> numbers(hazard + Pace::kNumbers);
  requests_.hazard().read(std::span(numbers).first(hazard));
  requests_.pace().read(&numbers[hazard]);
  write_tables(numbers, bytes);
}

Status HeatPolicy::load(std::span<const std::byte> bytes) {
  const std::size_t hazard = Hazard::numbers();
  std::vector<float> numbers(hazard + Pace::kNumbers);
  const Status status = read_tables(bytes, numbers);
  if (!status.ok()) return status;
  requests_.hazard().write(std::span(numbers).first(hazard));
  requests_.pace().write(&numbers[hazard]);
  return Status();
}

}  // namespace kelvin::heat

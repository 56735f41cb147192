// See units.h; also parse_bytes and parse_duration_ns of kelvin/config.h.
#include "config/units.h"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <span>
#include <system_error>

#include "kelvin/config.h"

namespace kelvin {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t size;
};

constexpr std::array<Unit, 9> kByteUnits = {{{"B", 1},
                                             {"KB", 1'000},
                                             {"MB", 1'000'000},
                                             {"GB", 1'000'000'000},
                                             {"TB", 1'000'000'000'000},
                                             {"KiB", 1ULL << 10},
                                             {"MiB", 1ULL << 20},
                                             {"GiB", 1ULL << 30},
                                             {"TiB", 1ULL << 40}}};

constexpr std::array<Unit, 6> kTimeUnits = {{{"ns", 1},
                                             {"us", 1'000},
                                             {"ms", 1'000'000},
                                             {"s", 1'000'000'000},
                                             {"min", 60'000'000'000},
                                             {"h", 3'600'000'000'000}}};

// What a bad size or time is told, as static strings: a Status can carry them.
struct Complaints {
  const char* form;
  const char* negative;
  const char* overflow;
  const char* unit;
};

constexpr Complaints kByteComplaints = {
    "not a size; write a whole number and a unit without a blank between, such as \"8GiB\"",
    "a size cannot be negative", "more bytes than 64 bits can count",
    "unknown unit of size; units are B, KB, MB, GB, TB (powers of 1000), KiB, MiB, GiB, TiB (powers of "
    "1024)"};

constexpr Complaints kTimeComplaints = {
    "not a time; write a whole number and a unit without a blank between, such as \"250us\"",
    "a time cannot be negative", "more nanoseconds than 64 bits can count",
    "unknown unit of time; units are ns, us, ms, s, min, h"};

config::Complaint scale(std::uint64_t number, std::string_view unit, std::span<const Unit> units,
                        const Complaints& complaints, std::uint64_t& value) {
  for (const Unit& known : units) {
    if (known.name != unit) continue;
    if (number > std::numeric_limits<std::uint64_t>::max() / known.size) return complaints.overflow;
    value = number * known.size;
    return nullptr;
  }
  return complaints.unit;
}

// A whole number followed by a unit; `bare`: the unit of a number that has none, empty = only 0 may.
config::Complaint read_scaled(std::string_view text, std::span<const Unit> units, std::string_view bare,
                              const Complaints& complaints, std::uint64_t& value) {
  if (text.starts_with('-')) return complaints.negative;
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error == std::errc::result_out_of_range) return complaints.overflow;
  if (error != std::errc() || (rest != end && (*rest == '.' || *rest == ' '))) return complaints.form;
  std::string_view unit(rest, static_cast<std::size_t>(end - rest));
  if (unit.empty() && bare.empty() && number != 0) return complaints.form;
  if (unit.empty()) unit = bare.empty() ? units.front().name : bare;
  return scale(number, unit, units, complaints, value);
}

std::string write_scaled(std::uint64_t value, std::span<const Unit> units) {
  const Unit* best = units.data();
  for (const Unit& unit : units) {
    if (value % unit.size == 0 && unit.size > best->size && value != 0) best = &unit;
  }
  return std::to_string(value / best->size).append(best->name);
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

Result<std::uint64_t> parse_bytes(std::string_view text) {
  std::uint64_t bytes = 0;
  const config::Complaint complaint = config::read_bytes(text, bytes);
  if (complaint != nullptr) return Status(Code::kInvalid, complaint);
  return bytes;
}

Result<std::uint64_t> parse_duration_ns(std::string_view text) {
  std::uint64_t ns = 0;
  const config::Complaint complaint = config::read_duration(text, ns);
  if (complaint != nullptr) return Status(Code::kInvalid, complaint);
  return ns;
}

namespace config {

Complaint read_bytes(std::string_view text, std::uint64_t& bytes) {
  return read_scaled(text, kByteUnits, "B", kByteComplaints, bytes);
}

Complaint read_duration(std::string_view text, std::uint64_t& ns) {
  return read_scaled(text, kTimeUnits, "", kTimeComplaints, ns);
}

Complaint read_integer(std::string_view text, std::int64_t& value) {
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc::result_out_of_range) return "a whole number beyond 64 bits";
  return error == std::errc() && rest == end ? nullptr : "not a whole number";
}

Complaint read_real(std::string_view text, double& value) {
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  // from_chars also reads "inf" and "nan", and a number that starts or ends with its point.
  const bool plain =
      !text.empty() && is_digit(text.back()) && (is_digit(text.front()) || text.front() == '-');
  return error == std::errc() && rest == end && plain && std::isfinite(value) ? nullptr : "not a number";
}

Complaint read_share(std::string_view text, double& value) {
  if (!text.ends_with('%')) return read_real(text, value);
  const Complaint complaint = read_real(text.substr(0, text.size() - 1), value);
  value /= 100.0;
  return complaint;
}

std::string write_bytes(std::uint64_t bytes) {
  // Only powers of 1024 and plain bytes: "1000B" is clearer in a file of KiB than "1KB".
  static constexpr std::array<Unit, 5> kWritten = {
      {kByteUnits[0], kByteUnits[5], kByteUnits[6], kByteUnits[7], kByteUnits[8]}};
  return write_scaled(bytes, kWritten);
}

std::string write_duration(std::uint64_t ns) { return write_scaled(ns, kTimeUnits); }

std::string write_real(double value) {
  std::array<char, 40> text;
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() ? std::string(text.data(), end) : std::string("0");
}

std::string write_share(double value) {
  std::string percent = write_real(value * 100.0).append("%");
  double back = 0;
  const bool exact = read_share(percent, back) == nullptr && back == value;
  std::string real = write_real(value);
  // 0.033 * 100 is 3.3000000000000003: then the plain number is the one that people know.
  return exact && percent.size() <= real.size() ? percent : real;
}

}  // namespace config
}  // namespace kelvin

// Faults a fake link commits, by the number of the copy: "error@3 corrupt/10 gone@100".
//
//   script = { rule }          separated by blanks
//   rule   = fault ( "@" n     the n-th copy, counted from 1
//                  | "/" n )   every n-th copy
//   fault  = error | corrupt | full | short | late | stuck | gone
//
// Thread contract: the link's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kelvin/status.h"

namespace kelvin {

enum class Fault : std::uint8_t {
  kNone,
  kError,    // completes with kIo
  kCorrupt,  // completes as if well, with a flipped bit
  kFull,     // completes with kFull
  kShort,    // half of the bytes arrive; completes with kIo
  kLate,     // takes twenty times as long: others overtake it
  kStuck,    // never completes until canceled
  kGone,     // from here on everything completes with kUnavailable
};

class Script {
 public:
  // kInvalid: `why` says which word is wrong.
  static Result<Script> parse(std::string_view text, std::string* why);

  // The fault of the next copy; counts it.
  Fault next() noexcept;

 private:
  struct Rule {
    Fault fault = Fault::kNone;
    std::uint64_t n = 0;
    bool repeated = false;
  };
  static bool parse_rule(std::string_view word, Rule* rule) noexcept;

  std::vector<Rule> rules_;
  std::uint64_t copies_ = 0;
};

}  // namespace kelvin

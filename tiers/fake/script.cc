// See script.h.
#include "tiers/fake/script.h"

#include <array>
#include <charconv>
#include <utility>

namespace kelvin {

bool Script::parse_rule(std::string_view word, Rule* rule) noexcept {
  constexpr std::array<std::pair<std::string_view, Fault>, 7> kNames = {{{"error", Fault::kError},
                                                                         {"corrupt", Fault::kCorrupt},
                                                                         {"full", Fault::kFull},
                                                                         {"short", Fault::kShort},
                                                                         {"late", Fault::kLate},
                                                                         {"stuck", Fault::kStuck},
                                                                         {"gone", Fault::kGone}}};
  const std::size_t sign = word.find_first_of("@/");
  if (sign == std::string_view::npos) return false;
  for (const auto& [name, fault] : kNames) {
    if (word.substr(0, sign) == name) rule->fault = fault;
  }
  rule->repeated = word[sign] == '/';
  const std::string_view number = word.substr(sign + 1);
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), rule->n);
  return error == std::errc() && end == number.data() + number.size() && rule->n > 0 &&
         rule->fault != Fault::kNone;
}

Result<Script> Script::parse(std::string_view text, std::string* why) {
  Script script;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (word.empty()) continue;
    Rule rule;
    if (!parse_rule(word, &rule)) {
      *why = "faults: '" + std::string(word) +
             "' is no rule; write FAULT@N or FAULT/N, FAULT one of error, corrupt, full, short, late, stuck, "
             "gone";
      return Status(Code::kInvalid, "parsing a fault script");
    }
    script.rules_.push_back(rule);
  }
  return script;
}

Fault Script::next() noexcept {
  ++copies_;
  for (const Rule& rule : rules_) {
    if (rule.repeated ? copies_ % rule.n == 0 : copies_ == rule.n) return rule.fault;
  }
  return Fault::kNone;
}

}  // namespace kelvin

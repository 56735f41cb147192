// One JSON line to one Request and back, without a document tree: the parser's events fill the request.
#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <new>
#include <nlohmann/json.hpp>

#include "cli/trace.h"

namespace kelvin::cli {
namespace {

using Json = nlohmann::json;

enum class Field : std::uint8_t {
  kNone,
  kTimestamp,
  kInput,
  kOutput,
  kIds,
  kFinish,
  kSession,
  kSubagent,
  kOther
};

Field field_of(std::string_view key) noexcept {
  if (key == "hash_ids") return Field::kIds;
  if (key == "timestamp") return Field::kTimestamp;
  if (key == "input_length") return Field::kInput;
  if (key == "output_length") return Field::kOutput;
  if (key == "finish_reason") return Field::kFinish;
  if (key == "session") return Field::kSession;
  if (key == "subagent") return Field::kSubagent;
  return Field::kOther;
}

std::string_view field_name(Field field) noexcept {
  switch (field) {
    case Field::kTimestamp: return "timestamp";
    case Field::kInput: return "input_length";
    case Field::kOutput: return "output_length";
    case Field::kIds: return "hash_ids";
    case Field::kFinish: return "finish_reason";
    case Field::kSession: return "session";
    case Field::kSubagent: return "subagent";
    case Field::kNone:
    case Field::kOther: break;
  }
  return "?";
}

std::string_view wanted(Field field) noexcept {
  switch (field) {
    case Field::kTimestamp: return "milliseconds, a number from 0";
    case Field::kInput:
    case Field::kOutput: return "a number of tokens, an integer from 0 to 4294967295";
    case Field::kIds: return "an array of integers from 0 to 2^64-1";
    case Field::kFinish: return "a text such as \"stop\" or \"tool_use\"";
    case Field::kSession: return "an integer from 0, or a text";
    case Field::kSubagent: return "an integer from 0, or true or false";
    case Field::kNone:
    case Field::kOther: break;
  }
  return "";
}

// The words of several engines for the same thing; unknown words are no mistake.
FinishReason finish_of(std::string_view word) noexcept {
  if (word == "tool_use" || word == "tool_calls") return FinishReason::kToolUse;
  if (word == "stop" || word == "end_turn" || word == "stop_sequence") return FinishReason::kStop;
  if (word == "length" || word == "max_tokens") return FinishReason::kLength;
  if (word == "canceled" || word == "cancelled" || word == "abort") return FinishReason::kCanceled;
  return FinishReason::kUnknown;
}

std::uint64_t hash_text(std::string_view text) noexcept {
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  return hash;
}

// Takes the parser's events; false stops the parser, with the reason in why.
class Filler {
 public:
  Filler(Request& request, std::string* why) : request_(request), why_(why) {}

  bool null() { return ignored() || wrong("null"); }

  bool boolean(bool value) {
    if (ignored()) return true;
    if (field_ != Field::kSubagent) return wrong(value ? "true" : "false");
    request_.subagent = value;
    return true;
  }

  // The parser calls this for negative numbers only.
  bool number_integer(std::int64_t value) { return ignored() || wrong(std::to_string(value)); }

  bool number_unsigned(std::uint64_t value) {
    if (in_ids_) {
      request_.hash_ids.push_back(value);
      return true;
    }
    if (ignored()) return true;
    switch (field_) {
      case Field::kTimestamp: request_.timestamp_ms = value; return true;
      case Field::kInput: return tokens(value, request_.input_tokens);
      case Field::kOutput: return tokens(value, request_.output_tokens);
      case Field::kSession: request_.session = value; return true;
      case Field::kSubagent: request_.subagent = value != 0; return true;
      default: return wrong(std::to_string(value));
    }
  }

  bool number_float(double value, const std::string& text) {
    if (ignored()) return true;
    constexpr double kMaxMs = 1e15;
    if (in_ids_ || field_ != Field::kTimestamp || !(value >= 0) || value > kMaxMs) return wrong(text);
    request_.timestamp_ms = static_cast<std::uint64_t>(value);
    return true;
  }

  bool string(const std::string& value) {
    if (ignored()) return true;
    if (in_ids_) return wrong("a text");
    if (field_ == Field::kFinish) {
      request_.finish = finish_of(value);
      return true;
    }
    if (field_ != Field::kSession) return wrong("a text");
    request_.session = hash_text(value);
    return true;
  }

  bool binary(const Json::binary_t& /*value*/) { return wrong("binary"); }

  bool start_object(std::size_t /*size*/) {
    if (depth_ == 1 && !ignored()) return wrong("an object");
    if (in_ids_) return wrong("an object");
    ++depth_;
    return true;
  }

  bool key(const std::string& name) {
    if (depth_ > 1) return true;
    field_ = field_of(name);
    if (field_ == Field::kOther) return true;
    const std::uint32_t bit = 1U << static_cast<unsigned>(field_);
    if ((seen_ & bit) != 0) {
      *why_ = fmt::format("{} is given twice", field_name(field_));
      return false;
    }
    seen_ |= bit;
    return true;
  }

  bool end_object() {
    --depth_;
    return true;
  }

  bool start_array(std::size_t /*size*/) {
    if (depth_ == 0) return wrong("an array");
    if (in_ids_) return wrong("an array");
    if (depth_ == 1 && field_ == Field::kIds) {
      in_ids_ = true;
      return true;
    }
    if (!ignored()) return wrong("an array");
    ++depth_;
    return true;
  }

  bool end_array() {
    if (in_ids_) {
      in_ids_ = false;
      return true;
    }
    --depth_;
    return true;
  }

  bool parse_error(std::size_t position, const std::string& /*token*/, const Json::exception& error) {
    // The library's text carries its own name and place before the last ": ".
    const std::string_view text = error.what();
    const std::size_t cut = text.find("syntax error");
    *why_ = fmt::format("is not JSON, at byte {}: {}", position,
                        cut == std::string_view::npos ? text : text.substr(cut));
    return false;
  }

  bool complete() {
    for (const Field field : {Field::kTimestamp, Field::kInput, Field::kOutput, Field::kIds}) {
      if ((seen_ & (1U << static_cast<unsigned>(field))) == 0) {
        *why_ = fmt::format("{} is missing; it must be {}", field_name(field), wanted(field));
        return false;
      }
    }
    return true;
  }

 private:
  // Inside a value that nobody asked for.
  bool ignored() const noexcept { return depth_ > 1 || (depth_ == 1 && field_ == Field::kOther); }

  bool tokens(std::uint64_t value, std::uint32_t& to) {
    if (value > std::numeric_limits<std::uint32_t>::max()) return wrong(std::to_string(value));
    to = static_cast<std::uint32_t>(value);
    return true;
  }

  bool wrong(std::string_view got) {
    if (in_ids_) {
      *why_ =
          fmt::format("hash_ids[{}] is {}; ids are integers from 0 to 2^64-1", request_.hash_ids.size(), got);
    } else if (depth_ == 0) {
      *why_ = fmt::format("is {}; a request is a JSON object", got);
    } else {
      *why_ = fmt::format("{} is {}; it must be {}", field_name(field_), got, wanted(field_));
    }
    return false;
  }

  Request& request_;
  std::string* why_;
  Field field_ = Field::kNone;
  std::uint32_t seen_ = 0;  // bit: Field
  std::size_t depth_ = 0;   // objects and arrays around, but for the ids' own array
  bool in_ids_ = false;
};

}  // namespace

Status parse_request(std::string_view line, Request& request, std::string* why) {
  request.hash_ids.clear();
  request.session.reset();
  request.finish = FinishReason::kUnknown;
  request.subagent = false;
  try {
    Filler filler(request, why);
    if (Json::sax_parse(line.begin(), line.end(), &filler) && filler.complete()) return {};
  } catch (const std::bad_alloc&) {
    *why = "out of memory";
    return {Code::kFull, "parsing a request"};
  } catch (const std::exception& error) {
    *why = error.what();
  }
  return {Code::kInvalid, "parsing a request"};
}

std::string_view finish_name(FinishReason finish) noexcept {
  switch (finish) {
    case FinishReason::kStop: return "stop";
    case FinishReason::kLength: return "length";
    case FinishReason::kToolUse: return "tool_use";
    case FinishReason::kCanceled: return "canceled";
    case FinishReason::kUnknown: break;
  }
  return "";
}

void append_request(const Request& request, std::string& out) {
  auto to = std::back_inserter(out);
  fmt::format_to(to, R"({{"timestamp":{},"input_length":{},"output_length":{})", request.timestamp_ms,
                 request.input_tokens, request.output_tokens);
  if (request.finish != FinishReason::kUnknown) {
    fmt::format_to(to, R"(,"finish_reason":"{}")", finish_name(request.finish));
  }
  if (request.session)
    fmt::format_to(to, R"(,"session":{},"subagent":{})", *request.session, request.subagent ? 1 : 0);
  out += R"(,"hash_ids":[)";
  for (std::size_t i = 0; i < request.hash_ids.size(); ++i) {
    if (i > 0) out += ',';
    out += fmt::format_int(request.hash_ids[i]).c_str();
  }
  out += "]}\n";
}

}  // namespace kelvin::cli

// Traces: serving requests as JSON lines, in the format of the public Mooncake traces (docs/formats.md).
//
//   {"timestamp": 27482, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47, 2353, 2354]}
//
// `timestamp` in ms, lengths in tokens, one id per block of the prompt: the same id means the same whole
// prefix. Optional: `finish_reason`, `session` (number or text), `subagent` (number or boolean). Other
// fields are ignored.
//
// Thread contract: one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/byte_source.h"
#include "kelvin/block.h"
#include "kelvin/status.h"

namespace kelvin::cli {

struct Request {
  std::uint64_t timestamp_ms = 0;
  std::uint32_t input_tokens = 0;
  std::uint32_t output_tokens = 0;
  FinishReason finish = FinishReason::kUnknown;
  std::optional<std::uint64_t> session;  // a text is hashed
  bool subagent = false;
  std::vector<std::uint64_t> hash_ids;
};

// Parses one line into `request`, whose memory is reused. kInvalid: `why` (never null) says which field is
// wrong, what it should be, and its place in the line.
Status parse_request(std::string_view line, Request& request, std::string* why);

// Appends one line, with its newline, that parse_request reads back.
void append_request(const Request& request, std::string& out);

// The word of a trace for a finish reason; "" for kUnknown.
std::string_view finish_name(FinishReason finish) noexcept;

// Reads requests in the order of the lines, in bounded memory.
class TraceReader {
 public:
  static constexpr std::size_t kMaxLineBytes = std::size_t{64} << 20;

  // Opens `path` ("-": standard input). On failure `why` (never null) says what is wrong.
  static Result<std::unique_ptr<TraceReader>> open(const std::string& path, std::string* why);

  // Reads from a source; `name` stands for it in messages.
  TraceReader(std::unique_ptr<ByteSource> source, std::string name);

  // Reads the next request; false = the end. Every mistake is an error with name:line in `why` (never
  // null), a trace without any request included. After an error the reader is at its end.
  Result<bool> next(Request& request, std::string* why);

  const std::string& name() const noexcept { return name_; }

  // Share of the stored bytes that were used up, 0..1; negative where the size is not known.
  double progress() const noexcept;

 private:
  Result<bool> next_line(std::string_view& line, std::string* why);
  Status fail(Code code, std::string* why, const std::string& what);

  const std::unique_ptr<ByteSource> source_;
  const std::string name_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;  // of what is not handed out yet
  std::size_t end_ = 0;
  std::uint64_t line_ = 0;  // of the line handed out last, from 1
  std::uint64_t requests_ = 0;
  bool ended_ = false;  // the source has no more
  bool failed_ = false;
};

}  // namespace kelvin::cli

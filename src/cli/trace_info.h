// What can be said of a trace without replaying it.
//
// Thread contract: one thread at a time. Memory grows with unique blocks and sessions alone.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "cli/latency.h"
#include "cli/trace.h"

namespace kelvin::cli {

class TraceSummary {
 public:
  void add(const Request& request);

  std::uint64_t requests() const noexcept { return requests_; }
  std::uint64_t references() const noexcept { return references_; }
  std::uint64_t unique_blocks() const noexcept { return blocks_.size(); }
  // Of an endless memory: references whose whole prefix had been seen before, as a share of all.
  double hit_ratio() const noexcept;
  std::uint64_t first_ms() const noexcept { return first_ms_; }
  std::uint64_t last_ms() const noexcept { return last_ms_; }
  std::uint64_t out_of_order() const noexcept {
    return out_of_order_;
  }  // requests earlier than the one before
  // References to an id that stood behind another id before: 0 in a trace whose ids name whole prefixes.
  std::uint64_t broken_chains() const noexcept { return broken_chains_; }

  const Histogram& reuse_ms() const noexcept { return reuse_ms_; }  // from one use of a block to its next
  const Histogram& prompt_tokens() const noexcept { return prompt_tokens_; }
  const Histogram& prompt_blocks() const noexcept { return prompt_blocks_; }
  const Histogram& answer_tokens() const noexcept { return answer_tokens_; }
  // By finish reason: how long until the same session's next request, where the trace has sessions.
  const Histogram& return_after_tool_ms() const noexcept { return after_tool_ms_; }
  const Histogram& return_after_other_ms() const noexcept { return after_other_ms_; }

 private:
  struct Block {
    std::uint64_t last_ms = 0;
    std::uint64_t parent = 0;
  };
  struct Session {
    std::uint64_t last_ms = 0;
    FinishReason finish = FinishReason::kUnknown;
  };

  void add_session(const Request& request);

  std::uint64_t requests_ = 0, references_ = 0, hits_ = 0;
  std::uint64_t first_ms_ = 0, last_ms_ = 0, previous_ms_ = 0;
  std::uint64_t out_of_order_ = 0, broken_chains_ = 0;
  std::unordered_map<std::uint64_t, Block> blocks_;
  std::unordered_map<std::uint64_t, Session> sessions_;
  Histogram reuse_ms_, prompt_tokens_, prompt_blocks_, answer_tokens_, after_tool_ms_, after_other_ms_;
};

// Reads the whole trace. On failure `why` (never null) says what is wrong with it.
Status summarise(TraceReader& reader, TraceSummary& summary, std::string* why);

// For a person; several lines.
std::string describe(const TraceSummary& summary);

}  // namespace kelvin::cli

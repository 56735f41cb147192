// See trace_info.h.
#include "cli/trace_info.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>

namespace kelvin::cli {
namespace {

constexpr std::uint64_t kRoot = ~std::uint64_t{0};

std::string seconds(std::uint64_t ms) { return fmt::format("{:.1f} s", static_cast<double>(ms) / 1000.0); }

void describe_times(const Histogram& times, std::string_view what, std::string& out) {
  if (times.count() == 0) return;
  fmt::format_to(std::back_inserter(out), "{:<28}p10 {}, p25 {}, p50 {}, p75 {}, p90 {}, p99 {}\n", what,
                 seconds(times.percentile(10)), seconds(times.percentile(25)), seconds(times.percentile(50)),
                 seconds(times.percentile(75)), seconds(times.percentile(90)), seconds(times.percentile(99)));
}

void describe_counts(const Histogram& counts, std::string_view what, std::string& out) {
  fmt::format_to(std::back_inserter(out), "{:<28}p10 {}, p25 {}, p50 {}, p75 {}, p90 {}, p99 {}, max {}\n",
                 what, counts.percentile(10), counts.percentile(25), counts.percentile(50),
                 counts.percentile(75), counts.percentile(90), counts.percentile(99), counts.max());
}

}  // namespace

void TraceSummary::add(const Request& request) {
  const std::uint64_t now_ms = request.timestamp_ms;
  if (requests_ == 0) {
    first_ms_ = last_ms_ = now_ms;
  } else if (now_ms < previous_ms_) {
    ++out_of_order_;
  }
  previous_ms_ = now_ms;
  first_ms_ = std::min(first_ms_, now_ms);
  last_ms_ = std::max(last_ms_, now_ms);
  ++requests_;
  references_ += request.hash_ids.size();
  prompt_tokens_.add(request.input_tokens);
  prompt_blocks_.add(request.hash_ids.size());
  answer_tokens_.add(request.output_tokens);

  bool known = true;
  std::uint64_t parent = kRoot;
  for (const std::uint64_t id : request.hash_ids) {
    const auto [entry, fresh] = blocks_.try_emplace(id, Block{now_ms, parent});
    Block& block = entry->second;
    if (!fresh) {
      reuse_ms_.add(now_ms >= block.last_ms ? now_ms - block.last_ms : 0);
      if (block.parent != parent) ++broken_chains_;
      block.last_ms = now_ms;
    }
    known = known && !fresh;
    if (known) ++hits_;
    parent = id;
  }
  add_session(request);
}

void TraceSummary::add_session(const Request& request) {
  if (!request.session || request.subagent) return;
  const auto [entry, fresh] = sessions_.try_emplace(*request.session);
  Session& session = entry->second;
  if (!fresh && request.timestamp_ms >= session.last_ms) {
    auto& gaps = session.finish == FinishReason::kToolUse ? after_tool_ms_ : after_other_ms_;
    gaps.add(request.timestamp_ms - session.last_ms);
  }
  session = {request.timestamp_ms, request.finish};
}

double TraceSummary::hit_ratio() const noexcept {
  return references_ == 0 ? 0 : static_cast<double>(hits_) / static_cast<double>(references_);
}

Status summarise(TraceReader& reader, TraceSummary& summary, std::string* why) {
  try {
    Request request;
    for (;;) {
      auto more = reader.next(request, why);
      if (!more.ok()) return more.status();
      if (!*more) return {};
      summary.add(request);
    }
  } catch (const std::bad_alloc&) {
    *why = reader.name() + ": out of memory: too many unique blocks";
    return {Code::kFull, "reading a trace"};
  }
}

std::string describe(const TraceSummary& summary) {
  std::string out;
  auto to = std::back_inserter(out);
  fmt::format_to(to, "{:<28}{}\n", "requests", summary.requests());
  fmt::format_to(to, "{:<28}{}\n", "time covered", seconds(summary.last_ms() - summary.first_ms()));
  fmt::format_to(to, "{:<28}{}\n", "block references", summary.references());
  fmt::format_to(to, "{:<28}{}\n", "unique blocks", summary.unique_blocks());
  fmt::format_to(to, "{:<28}{:.4f}\n", "hit ratio, endless memory", summary.hit_ratio());
  describe_times(summary.reuse_ms(), "reused after", out);
  describe_times(summary.return_after_tool_ms(), "session back after a tool", out);
  describe_times(summary.return_after_other_ms(), "session back after the rest", out);
  describe_counts(summary.prompt_tokens(), "prompt tokens", out);
  describe_counts(summary.prompt_blocks(), "prompt blocks", out);
  describe_counts(summary.answer_tokens(), "answer tokens", out);
  if (summary.out_of_order() > 0) {
    fmt::format_to(to, "note: {} requests are earlier than the one before them\n", summary.out_of_order());
  }
  if (summary.broken_chains() > 0) {
    fmt::format_to(
        to,
        "note: {} references have another predecessor than before: ids do not name whole prefixes;\n"
        "      a replay makes one block of each id and prefix\n",
        summary.broken_chains());
  }
  return out;
}

}  // namespace kelvin::cli

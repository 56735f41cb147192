// Synthetic traces whose reuse is modelled on real services: how much of a prompt was seen before, how soon
// it comes back, how long prompts are. docs/decisions.md compares them with the real ones.
//
// Thread contract: one thread at a time.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cli/trace.h"
#include "kelvin/status.h"

namespace kelvin::cli {

inline constexpr std::uint32_t kTraceBlockTokens = 512;

enum class TraceKind : std::uint8_t {
  kChat,   // conversations of people: one system prompt for all, short visits, minutes between turns
  kAgent,  // coding agents: contexts that grow for hours, seconds between turns, nearly everything reused
  kRag,    // documents fetched by popularity behind a system prompt, then a question of its own
};

std::optional<TraceKind> trace_kind(std::string_view name) noexcept;  // "chat", "agent", "rag"

// An endless service; requests come in the order of their timestamps. Equal arguments give equal requests.
class TraceModel {
 public:
  virtual ~TraceModel() = default;
  TraceModel(const TraceModel&) = delete;
  TraceModel& operator=(const TraceModel&) = delete;

  virtual void next(Request& request) = 0;

 protected:
  TraceModel() = default;
};

std::unique_ptr<TraceModel> make_chat_model(std::uint64_t seed);
// `requests`: how many will be taken; sessions start in the time that so many requests take to come, then
// run out. Taking more is the caller's mistake.
std::unique_ptr<TraceModel> make_agent_model(std::uint64_t requests, std::uint64_t seed);
std::unique_ptr<TraceModel> make_rag_model(std::uint64_t seed);

std::unique_ptr<TraceModel> make_trace_model(TraceKind kind, std::uint64_t requests, std::uint64_t seed);

// Writes `requests` lines. kIo: the stream failed; `why` (never null) says so.
Status write_trace(TraceModel& model, std::uint64_t requests, std::ostream& out, std::string* why);

}  // namespace kelvin::cli

// See trace_gen.h.
#include "cli/trace_gen.h"

#include <ostream>

namespace kelvin::cli {

std::optional<TraceKind> trace_kind(std::string_view name) noexcept {
  if (name == "chat") return TraceKind::kChat;
  if (name == "agent") return TraceKind::kAgent;
  if (name == "rag") return TraceKind::kRag;
  return std::nullopt;
}

std::unique_ptr<TraceModel> make_trace_model(TraceKind kind, std::uint64_t requests, std::uint64_t seed) {
  switch (kind) {
    case TraceKind::kAgent: return make_agent_model(requests, seed);
    case TraceKind::kRag: return make_rag_model(seed);
    case TraceKind::kChat: break;
  }
  return make_chat_model(seed);
}

Status write_trace(TraceModel& model, std::uint64_t requests, std::ostream& out, std::string* why) {
  constexpr std::size_t kFlushBytes = std::size_t{256} << 10;
  Request request;
  std::string text;
  for (std::uint64_t i = 0; i < requests; ++i) {
    model.next(request);
    append_request(request, text);
    if (text.size() < kFlushBytes && i + 1 < requests) continue;
    out.write(text.data(), static_cast<std::streamsize>(text.size()));
    text.clear();
    if (!out) break;
  }
  if (out.flush()) return {};
  *why = "the trace cannot be written: is the disk full, or the reader gone?";
  return {Code::kIo, "writing a trace"};
}

}  // namespace kelvin::cli

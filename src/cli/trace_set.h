// TraceSet: whole traces in memory, their blocks numbered, for what looks at a trace more than once.
//
// Memory: 4 bytes a reference, 16 a unique block, 48 a request.
//
// Thread contract: built by one thread; constant afterwards, then read by any.
// Invariants:
//   1. refs name blocks below keys.size(); equal keys have equal numbers.
//   2. TracedRequest::trace is below tenants.size().
//   3. Requests of one trace stand in the order of its lines; those of several are merged by time.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kelvin/block.h"
#include "kelvin/hash.h"
#include "kelvin/status.h"

namespace kelvin::cli {

struct TracedRequest {
  std::uint64_t time_ns = 0;  // from the earliest request on
  std::uint64_t session = 0;  // 0: unknown
  std::uint64_t first = 0;    // of its references
  std::uint32_t blocks = 0;
  std::uint32_t input_tokens = 0;
  std::uint32_t output_tokens = 0;
  FinishReason finish = FinishReason::kUnknown;
  std::uint16_t trace = 0;
};

struct TraceSet {
  std::vector<TracedRequest> requests;
  std::vector<std::uint32_t> refs;
  std::vector<BlockKey> keys;          // by block
  std::vector<std::uint64_t> tenants;  // by trace: whose its blocks are, see tenant_id()

  std::span<const std::uint32_t> blocks_of(const TracedRequest& request) const noexcept {
    return std::span(refs).subspan(request.first, request.blocks);
  }
};

inline constexpr std::size_t kMostTraces = 65'535;

struct TraceSetOptions {
  std::uint64_t limit = 0;  // requests of each trace; 0: all
  Layout layout;            // part of every key
};

// Reads the traces. Ids of different traces are different blocks. On failure `why` (never null) says what is
// wrong, and where.
Result<TraceSet> load_traces(const std::vector<std::string>& paths, const TraceSetOptions& options,
                             std::string* why);

// What the keys of the i-th of several traces are salted with: the same in every run and in a simulation, so
// that a persistent tier serves them again.
// "trace 0 chat.jsonl" for the first, of whatever folder; a config's [[tenant]] names it so.
std::string trace_salt(std::size_t index, const std::string& path);

// The session of a request for Hints: never 0, and apart for different traces.
std::uint64_t hint_session(std::uint64_t session, const BlockKey& root) noexcept;

}  // namespace kelvin::cli

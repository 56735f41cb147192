// See trace_set.h.
#include "cli/trace_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <new>
#include <unordered_map>

#include "cli/trace.h"

namespace kelvin::cli {
namespace {

using Numbers = std::unordered_map<BlockKey, std::uint32_t>;

void add(const Request& request, const BlockKey& root, Numbers& numbers, TraceSet& set) {
  TracedRequest& traced = set.requests.emplace_back();
  traced.time_ns = request.timestamp_ms * 1'000'000;
  traced.session = request.session ? hint_session(*request.session, root) : 0;
  traced.first = set.refs.size();
  traced.blocks = static_cast<std::uint32_t>(request.hash_ids.size());
  traced.input_tokens = request.input_tokens;
  traced.output_tokens = request.output_tokens;
  traced.finish = request.finish;
  traced.trace = static_cast<std::uint16_t>(set.tenants.size() - 1);
  BlockKey parent = root;
  for (const std::uint64_t id : request.hash_ids) {
    const std::array<std::uint32_t, 2> tokens = {static_cast<std::uint32_t>(id),
                                                 static_cast<std::uint32_t>(id >> 32)};
    parent = chain_key(parent, tokens);
    const auto [at, fresh] = numbers.try_emplace(parent, static_cast<std::uint32_t>(set.keys.size()));
    if (fresh) set.keys.push_back(parent);
    set.refs.push_back(at->second);
  }
}

Status load_one(TraceReader& reader, const BlockKey& root, std::uint64_t limit, Numbers& numbers,
                TraceSet& set, std::string* why) {
  Request request;
  for (std::uint64_t n = 0; limit == 0 || n < limit; ++n) {
    const auto more = reader.next(request, why);
    if (!more.ok()) return more.status();
    if (!*more) break;
    add(request, root, numbers, set);
  }
  return {};
}

void merge_by_time(TraceSet& set, std::size_t traces) {
  if (set.requests.empty()) return;
  if (traces > 1) {
    std::ranges::stable_sort(set.requests, {}, &TracedRequest::time_ns);
  }
  const std::uint64_t start = std::ranges::min(set.requests, {}, &TracedRequest::time_ns).time_ns;
  for (TracedRequest& request : set.requests) request.time_ns -= start;
}

}  // namespace

std::string trace_salt(std::size_t index, const std::string& path) {
  return fmt::format("trace {} {}", index, std::filesystem::path(path).filename().string());
}

std::uint64_t hint_session(std::uint64_t session, const BlockKey& root) noexcept {
  return (session + 1 + root.lo) | 1U << 31;
}

Result<TraceSet> load_traces(const std::vector<std::string>& paths, const TraceSetOptions& options,
                             std::string* why) try {
  TraceSet set;
  Numbers numbers;
  if (paths.size() > kMostTraces) {
    *why = fmt::format("{} traces are too many: give at most {}", paths.size(), kMostTraces);
    return Status(Code::kInvalid, "loading traces");
  }
  for (std::size_t i = 0; i < paths.size(); ++i) {
    auto reader = TraceReader::open(paths[i], why);
    if (!reader.ok()) return reader.status();
    const std::string salt = trace_salt(i, paths[i]);
    const BlockKey root = root_key(salt, options.layout);
    set.tenants.push_back(tenant_id(salt));
    const Status status = load_one(**reader, root, options.limit, numbers, set, why);
    if (!status.ok()) return status;
  }
  merge_by_time(set, paths.size());
  return set;
} catch (const std::bad_alloc&) {
  *why = "the traces do not fit into memory: give fewer, or --limit";
  return Status(Code::kFull, "loading traces");
}

}  // namespace kelvin::cli

// A replay: an engine's part, played from a trace against one space, with real bytes.
//
// Of each request: keys from hash ids, match, acquire into tier 0, check every byte had, allocate the rest,
// fill it, publish, release. What cannot be kept (a request larger than tier 0) is counted, never fatal.
//
// Thread contract: one thread at a time.
// Invariants:
//   1. referenced = hit + published + unpublished, after every request.
//   2. Every hit block is checked once, unless verification is off.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cli/latency.h"
#include "cli/progress.h"
#include "cli/tenants.h"
#include "cli/tier_content.h"
#include "cli/trace.h"
#include "kelvin/config.h"
#include "kelvin/space.h"
#include "kelvin/status.h"

namespace kelvin::cli {

struct ReplayOptions {
  std::uint64_t skip = 0;   // requests of the first trace to leave out
  std::uint64_t limit = 0;  // requests over all traces; 0 = all
  bool verify = true;
  std::size_t traces = 1;  // to come: for the progress line
};

struct ReplayResult {
  std::uint64_t requests = 0;
  std::uint64_t referenced = 0;                // blocks
  std::uint64_t hit = 0;                       // blocks leased from what was there
  std::uint64_t published = 0;                 // blocks computed and published
  std::uint64_t unpublished = 0;               // blocks computed that found no room in tier 0
  std::uint64_t lost = 0;                      // blocks matched that acquire then could not have
  std::uint64_t checked = 0;                   // blocks
  std::uint64_t corrupt = 0;                   // blocks
  std::vector<std::string> findings;           // the first few corrupt blocks, for a person
  Histogram match_ns, acquire_ns, publish_ns;  // one call a request; acquire: until its ticket is done
  double seconds = 0;                          // in replaying requests
  bool stopped = false;                        // by an interrupt
  std::vector<TenantCount> tenants;
  Stats stats;  // of the space, at the end
};

class Replay {
 public:
  // Opens the space. kInvalid, kUnsupported: `why` (never null) says what to mend.
  static Result<std::unique_ptr<Replay>> open(const Config& config, const ReplayOptions& options,
                                              std::string* why, Parts parts = {});

  // Replays one trace; ids under different salts are different blocks. Ends early, with ok, at the limit or
  // after an interrupt. On failure of the trace or the space `why` (never null) says what is wrong.
  Status run(TraceReader& reader, std::string_view salt, Progress& progress, std::string* why);

  // True when the limit is reached or an interrupt came.
  bool ended() const noexcept;

  // Lets the moves under way end (for some seconds at most) and takes the space's statistics.
  const ReplayResult& finish();

 private:
  using TraceTime = std::atomic<std::uint64_t>;  // nanoseconds

  Replay(std::unique_ptr<TraceTime> time, std::unique_ptr<Space> space, const Config& config,
         const ReplayOptions& options);

  void pass_time(std::uint64_t until_ns) noexcept;
  Status serve(const Request& request, const BlockKey& root, std::string* why);
  Hints hints_of(const Request& request, const BlockKey& root) const;
  void name_keys(const Request& request, const BlockKey& root);
  Status acquire(const Hints& hints, Lease& prefix, std::string* why);
  Status verify(const Lease& prefix, std::string* why);
  Status compute(const Hints& hints, std::size_t first, Lease& fresh, std::string* why);
  Status allocate(std::size_t wanted, const Hints& hints, Lease& fresh, std::string* why);
  void show(const TraceReader& reader, Progress& progress);

  const ReplayOptions options_;
  const std::unique_ptr<TraceTime> time_;  // outlives the space, which reads it
  const std::unique_ptr<Space> space_;
  TierContent content_;  // of the first tier
  std::vector<BlockKey> chain_;
  std::uint64_t tenant_ = 0;  // of the trace at hand
  TenantCounts tenants_;
  ReplayResult result_;
  std::uint64_t skipped_ = 0;  // requests
  std::uint64_t traces_done_ = 0;
};

}  // namespace kelvin::cli

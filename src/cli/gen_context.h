// A growing prompt as ids of blocks: what the chat and the agent model have in common.
//
// Thread contract: one thread at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "cli/trace_gen.h"

namespace kelvin::cli {

// Ids in the order of first use.
class IdSource {
 public:
  std::uint64_t take() noexcept { return next_++; }

 private:
  std::uint64_t next_ = 0;
};

struct Context {
  std::vector<std::uint64_t> blocks;  // of the whole blocks that were sent once
  std::uint32_t tokens = 0;           // of the next prompt

  // Gives every whole block of the prompt an id.
  void extend(IdSource& ids) {
    const std::uint32_t whole = tokens / kTraceBlockTokens;
    while (blocks.size() < whole) blocks.push_back(ids.take());
  }

  // The prompt goes on differently after its first `kept` blocks.
  void diverge(std::size_t kept) { blocks.resize(std::min(blocks.size(), kept)); }
};

}  // namespace kelvin::cli

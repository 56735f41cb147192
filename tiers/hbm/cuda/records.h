// Records: a fixed pool of events, each of which says when what was on a stream is done.
//
// Thread contract: any thread. Nothing allocates after open.
// Invariant: a record carries the turn of its event, so that one that was given back is never taken for the
// next one of the same event.
#pragma once

#include <cuda.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/index_stack.h"
#include "kelvin/status.h"
#include "tiers/hbm/cuda/context.h"
#include "tiers/hbm/device.h"

namespace kelvin::hbm {

class Records {
 public:
  static constexpr std::uint32_t kCount = 4096;

  // `context` outlives it.
  static Result<std::unique_ptr<Records>> open(Context& context, std::string* why);
  ~Records();
  Records(const Records&) = delete;
  Records& operator=(const Records&) = delete;

  // As Device's and Queue's calls of these names. Precondition of all: the context is current, but for
  // give_back.
  Result<Record> record(CUstream stream) noexcept;
  Status passed(Record record) noexcept;
  Status after(CUstream stream, Record record) noexcept;
  void give_back(Record record) noexcept;

 private:
  struct Event {
    CUevent handle = nullptr;  // constant after open
    std::atomic<std::uint32_t> turn{0};
  };

  explicit Records(Context& context) : context_(context), events_(kCount), free_(kCount) {}

  // Null: it was given back, or is none.
  Event* find(Record record) noexcept;

  Context& context_;
  std::vector<Event> events_;
  IndexStack free_;
};

}  // namespace kelvin::hbm

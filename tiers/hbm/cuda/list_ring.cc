// See list_ring.h.
#include "tiers/hbm/cuda/list_ring.h"

#include <cassert>

namespace kelvin::hbm {

Result<std::unique_ptr<ListRing>> ListRing::open(Context& context, std::string* why) {
  const Driver& driver = context.driver();
  std::unique_ptr<ListRing> ring(new ListRing(context));
  void* memory = nullptr;
  CUresult result = driver.host_allocate(&memory, std::uint64_t{kLists} * kListEntries * sizeof(ListEntry),
                                         CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP);
  if (result == CUDA_SUCCESS) {
    ring->entries_ = static_cast<ListEntry*>(memory);
    result = driver.host_device_pointer(&ring->device_, memory, 0);
  }
  for (CUevent& event : ring->events_) {
    if (result == CUDA_SUCCESS) result = driver.event_create(&event, CU_EVENT_DISABLE_TIMING);
  }
  const Status status = context.check(result, "making the lists of a queue", why);
  if (!status.ok()) return status;
  return ring;
}

ListRing::~ListRing() {
  for (CUevent event : events_) {
    if (event != nullptr) (void)context_.driver().event_destroy(event);
  }
  if (entries_ != nullptr) (void)context_.driver().host_free(entries_);
}

Result<std::span<ListEntry>> ListRing::next() noexcept {
  // An event that was never recorded counts as done.
  const Status done =
      context_.check(context_.driver().event_query(events_[next_]), "reading a list of pieces");
  if (done.code() == Code::kBusy) return Status(Code::kBusy, "too many lists of pieces are on the queue");
  if (!done.ok()) return done;
  return std::span<ListEntry>(entries_ + std::size_t{next_} * kListEntries, kListEntries);
}

const ListEntry* ListRing::on_device() const noexcept {
  return reinterpret_cast<const ListEntry*>(device_) + std::size_t{next_} * kListEntries;
}

Status ListRing::given(CUstream stream) noexcept {
  const Status recorded =
      context_.check(context_.driver().event_record(events_[next_], stream), "recording an event");
  next_ = (next_ + 1) % kLists;
  return recorded;
}

}  // namespace kelvin::hbm

// See records.h.
#include "tiers/hbm/cuda/records.h"

namespace kelvin::hbm {
namespace {

constexpr Status kStale{Code::kMisuse, "a record of the GPU that was given back"};

}  // namespace

Result<std::unique_ptr<Records>> Records::open(Context& context, std::string* why) {
  std::unique_ptr<Records> records(new Records(context));
  for (Event& event : records->events_) {
    const Status created = context.check(
        context.driver().event_create(&event.handle, CU_EVENT_DISABLE_TIMING), "making an event", why);
    if (!created.ok()) return created;
  }
  return records;
}

Records::~Records() {
  for (const Event& event : events_) {
    if (event.handle != nullptr) (void)context_.driver().event_destroy(event.handle);
  }
}

Result<Record> Records::record(CUstream stream) noexcept {
  const std::uint32_t index = free_.pop();
  if (index == IndexStack::kNone) return Status(Code::kBusy, "too many records of the GPU are open");
  Event& event = events_[index];
  const Status recorded =
      context_.check(context_.driver().event_record(event.handle, stream), "recording an event");
  if (!recorded.ok()) {
    free_.push(index);
    return recorded;
  }
  return Record{event.turn.load(std::memory_order_relaxed)} << 32 | (index + 1);
}

Status Records::passed(Record record) noexcept {
  const Event* event = find(record);
  if (event == nullptr) return kStale;
  return context_.check(context_.driver().event_query(event->handle), "work on the GPU");
}

Status Records::after(CUstream stream, Record record) noexcept {
  const Event* event = find(record);
  if (event == nullptr) return kStale;
  return context_.check(context_.driver().stream_after(stream, event->handle, 0), "waiting for an event");
}

void Records::give_back(Record record) noexcept {
  Event* event = find(record);
  if (event == nullptr) return;
  // Released to the next who takes it by the stack.
  event->turn.fetch_add(1, std::memory_order_relaxed);
  free_.push(static_cast<std::uint32_t>(record) - 1);
}

Records::Event* Records::find(Record record) noexcept {
  const auto index = static_cast<std::uint32_t>(record);
  if (index == 0 || index > kCount) return nullptr;
  Event& event = events_[index - 1];
  return event.turn.load(std::memory_order_relaxed) == record >> 32 ? &event : nullptr;
}

}  // namespace kelvin::hbm

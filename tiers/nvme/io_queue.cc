// Which IoQueue is used where.
#include "tiers/nvme/io_queue.h"

namespace kelvin::nvme {

#ifndef KELVIN_HAVE_URING
Result<std::unique_ptr<IoQueue>> open_uring_queue(const QueueConfig& /*config*/, std::string* why) {
  *why = "this build has no io_uring: build it with liburing 2.3 or later, or set io = \"threads\"";
  return Status(Code::kUnsupported, "opening an io_uring");
}
#endif

Result<std::unique_ptr<IoQueue>> open_queue(QueueKind kind, const QueueConfig& config, std::string* why) {
  if (kind == QueueKind::kThreads) return open_thread_queue(config, why);
  auto ring = open_uring_queue(config, why);
  if (ring.ok() || kind == QueueKind::kUring) return ring;
  return open_thread_queue(config, why);
}

}  // namespace kelvin::nvme

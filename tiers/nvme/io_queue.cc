// Which IoQueue is used where.
#include "tiers/nvme/io_queue.h"

#include "tiers/nvme/char_medium.h"

namespace kelvin::nvme {

#ifndef KELVIN_HAVE_URING
Result<std::unique_ptr<IoQueue>> open_uring_queue(int /*fd*/, const QueueConfig& /*config*/,
                                                  std::string* why) {
  *why = "this build has no io_uring: build it with liburing 2.3 or later, or set io = \"threads\"";
  return Status(Code::kUnsupported, "opening an io_uring");
}

Result<std::unique_ptr<IoQueue>> open_command_queue(const NvmeNamespace& /*on*/, const QueueConfig& config,
                                                    std::string* why) {
  return open_uring_queue(-1, config, why);
}
#endif

Result<std::unique_ptr<IoQueue>> open_file_queue(int fd, const QueueConfig& config, std::string* why) {
  if (config.kind == QueueKind::kThreads && config.poll) {
    *why = "threads cannot poll a drive: set io = \"auto\", or poll = false";
    return Status(Code::kUnsupported, "opening a thread queue");
  }
  if (config.kind == QueueKind::kThreads) return open_thread_queue(fd, config, why);
  auto ring = open_uring_queue(fd, config, why);
  if (ring.ok() || config.kind == QueueKind::kUring || config.poll) return ring;
  return open_thread_queue(fd, config, why);
}

}  // namespace kelvin::nvme

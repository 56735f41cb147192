// IoQueue by io_uring: a registered file and buffers, completions run when we ask for them. For a file or a
// block device its entries are reads and writes, for an NVMe namespace the drive's own commands.
//
// Thread contract: IoQueue's.
// Invariants:
//   1. unsent_ holds, in order, the tags of the entries that lie in the ring and the kernel has not taken.
//   2. unsent_.size() + in_kernel_ never exceeds the capacity, so neither ring overflows.
//   3. Once failed_ is set no entry is handed to the kernel any more; the unsent come back with that error.
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "base/event_fd.h"
#include "base/fifo.h"
#include "tiers/nvme/buffer_map.h"
#include "tiers/nvme/char_medium.h"
#include "tiers/nvme/errors.h"
#include "tiers/nvme/io_queue.h"
#include "tiers/nvme/nvme_command.h"

namespace kelvin::nvme {
namespace {

// With DEFER_TASKRUN the kernel finishes requests only when the issuing thread asks: no interrupts of it, and
// a batch at a time. The ring starts disabled, so that the first thread to submit becomes the issuer.
constexpr unsigned kDeferred = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                               IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL;
constexpr unsigned kCooperative = IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;

constexpr std::uint64_t kCanceled = 1ULL << 46U;  // beside a tag, in the user_data of an entry
constexpr std::uint32_t kMaxRefusals = 1000;      // of submission in a row, by a kernel short of memory
constexpr int kEndingMs = 30'000;                 // more than any drive's own time limit for a request

class UringQueue final : public IoQueue {
 public:
  // `commands`: null where `fd` is no NVMe character device; copied.
  UringQueue(int fd, const NvmeNamespace* commands, const QueueConfig& config)
      : fd_(fd),
        has_commands_(commands != nullptr),
        commands_(commands != nullptr ? *commands : NvmeNamespace{}),
        poll_(config.poll),
        wake_(*config.wake),
        capacity_(config.capacity),
        buffers_(config.memory, config.unit_bytes),
        unsent_(config.capacity) {}

  ~UringQueue() override {
    if (!open_) return;
    const bool drained = drain();
    io_uring_queue_exit(&ring_);
    if (!drained) await_kernel();
    if (ended_fd_ >= 0) ::close(ended_fd_);
  }

  Status open(bool single_issuer, std::string* why) {
    if (const int error = set_up(single_issuer); error != 0) return refused(error, "io_uring_setup", why);
    open_ = true;
    if (const int error = register_file(); error != 0) return refused(error, "registering a file", why);
    if (const int error = -io_uring_register_eventfd(&ring_, wake_.fd()); error != 0) {
      return refused(error, "registering an eventfd", why);
    }
    // Memory that cannot be registered (RLIMIT_MEMLOCK, file mappings) is pinned anew for each request.
    const std::span<const iovec> pieces = buffers_.pieces();
    fixed_ = !pieces.empty() &&
             io_uring_register_buffers(&ring_, pieces.data(), static_cast<unsigned>(pieces.size())) == 0;
    description_ = std::string("io_uring") + (has_commands_ ? ", commands" : "") + (poll_ ? ", polled" : "") +
                   (deferred_ ? ", deferred" : "") + (fixed_ ? ", fixed buffers" : "");
    return {};
  }

  std::size_t submit(std::span<const IoRequest> requests) noexcept override {
    const std::size_t room = capacity_ - unsent_.size() - in_kernel_;
    std::size_t taken = 0;
    while (taken < std::min(requests.size(), room)) {
      if (failed_ == 0) {
        io_uring_sqe* entry = io_uring_get_sqe(&ring_);
        if (entry == nullptr) break;
        prepare(entry, requests[taken]);
      }
      unsent_.push(requests[taken].tag);
      ++taken;
    }
    send();
    return taken;
  }

  std::size_t reap(std::span<IoResult> results) noexcept override {
    send();
    std::size_t n = 0;
    while (failed_ != 0 && n < results.size() && !unsent_.empty()) results[n++] = {unsent_.pop(), -failed_};
    if (in_kernel_ == 0) return n;

    constexpr unsigned kPending = IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW;
    const bool pending = (__atomic_load_n(ring_.sq.kflags, __ATOMIC_ACQUIRE) & kPending) != 0;
    if (pending || poll_) io_uring_get_events(&ring_);
    std::array<io_uring_cqe*, 64> entries{};
    while (n < results.size()) {
      const auto want = static_cast<unsigned>(std::min(entries.size(), results.size() - n));
      const unsigned got = io_uring_peek_batch_cqe(&ring_, entries.data(), want);
      if (got == 0) break;
      for (unsigned i = 0; i < got; ++i) results[n++] = result_of(*entries[i]);
      io_uring_cq_advance(&ring_, got);
      in_kernel_ -= got;
    }
    return n;
  }

  // What the kernel has taken cannot be called back from a drive. What it refused so far lies in the ring
  // still, and it takes entries in their order: they do nothing now.
  void cancel() noexcept override {
    if (unsent_.empty()) return;
    for (std::uint32_t i = 0; failed_ == 0 && i < unsent_.size(); ++i) {
      io_uring_sqe* entry = unsent_entry(i);
      const std::uint64_t tag = entry->user_data & (kCanceled - 1);
      io_uring_prep_nop(entry);
      io_uring_sqe_set_data64(entry, tag | kCanceled);
    }
    wake_.signal();
  }

  const char* description() const noexcept override { return description_.c_str(); }

 private:
  static Status refused(int error, const char* what, std::string* why) {
    *why = std::string("io_uring is not to be had here (") + what + ": " + error_text(error) +
           "): allow it (seccomp profile, kernel.io_uring_disabled), or set io = \"threads\"";
    return {Code::kUnsupported, "opening an io_uring", error};
  }

  // Returns a positive errno, or 0.
  int set_up(bool single_issuer) noexcept {
    // COOP_TASKRUN leaves completions to the submitting thread's next entry into the kernel, which may be far
    // off where another thread polls: it too needs a single issuer.
    const std::array<unsigned, 3> wishes = {kDeferred, kCooperative, 0};
    const unsigned always =
        (has_commands_ ? IORING_SETUP_SQE128 | IORING_SETUP_CQE32 : 0U) | (poll_ ? IORING_SETUP_IOPOLL : 0U);
    int error = EINVAL;
    for (std::size_t i = single_issuer ? 0 : 2; i < wishes.size() && error == EINVAL; ++i) {
      io_uring_params params{};
      params.flags = wishes[i] | always;
      error = -io_uring_queue_init_params(capacity_, &ring_, &params);
      deferred_ = wishes[i] == kDeferred;
    }
    enabled_ = !deferred_;
    return error;
  }

  // The file, and behind it the only write end of a pipe: the kernel closes that when the last request of the
  // ring has ended, even after we have closed the ring.
  int register_file() {
    std::array<int, 2> pipe{-1, -1};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return errno;
    const std::array<int, 2> files = {fd_, pipe[1]};
    const int error = -io_uring_register_files(&ring_, files.data(), static_cast<unsigned>(files.size()));
    ::close(pipe[1]);
    ended_fd_ = pipe[0];
    return error;
  }

  void prepare(io_uring_sqe* entry, const IoRequest& request) const noexcept {
    constexpr int kFile = 0;  // as registered
    const iovec& first = *request.vectors;
    const auto bytes = static_cast<unsigned>(first.iov_len);
    const int buffer = fixed_ && request.vector_count == 1 ? buffers_.find(first) : -1;
    if (has_commands_) return prepare_command(commands_, kFile, request, buffer, entry);
    if (buffer >= 0 && request.write) {
      io_uring_prep_write_fixed(entry, kFile, first.iov_base, bytes, request.offset, buffer);
    } else if (buffer >= 0) {
      io_uring_prep_read_fixed(entry, kFile, first.iov_base, bytes, request.offset, buffer);
    } else if (request.write) {
      io_uring_prep_writev(entry, kFile, request.vectors, request.vector_count, request.offset);
    } else {
      io_uring_prep_readv(entry, kFile, request.vectors, request.vector_count, request.offset);
    }
    io_uring_sqe_set_data64(entry, request.tag);
    io_uring_sqe_set_flags(entry, IOSQE_FIXED_FILE);
  }

  // The kernel's head is where it goes on reading; sqe_tail is ours.
  io_uring_sqe* unsent_entry(std::uint32_t i) noexcept {
    const unsigned at = (__atomic_load_n(ring_.sq.khead, __ATOMIC_ACQUIRE) + i) & *ring_.sq.kring_mask;
    return &ring_.sq.sqes[has_commands_ ? 2 * at : at];  // IORING_SETUP_SQE128
  }

  IoResult result_of(const io_uring_cqe& entry) noexcept {
    if ((entry.user_data & kCanceled) != 0) return {entry.user_data & (kCanceled - 1), -ECANCELED};
    if (!has_commands_) return {entry.user_data, entry.res};
    if (entry.res == -EINVAL && used_registered(entry.user_data)) {
      // Some kernels know no commands with registered buffers; 6.1 refuses them for large registered ranges.
      fixed_ = false;
      return command_result(commands_, entry.user_data, -EAGAIN);
    }
    return command_result(commands_, entry.user_data, entry.res);
  }

  // Hands over what lies in the ring.
  void send() noexcept {
    if (failed_ != 0 || unsent_.empty()) return;
    if (!enabled_) {
      // Not io_uring_enable_rings: liburing 2.3 declares it, but its shared library lacks it.
      if (::syscall(__NR_io_uring_register, ring_.ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0) != 0) {
        return fail(errno);
      }
      enabled_ = true;
    }
    while (!unsent_.empty()) {
      const int n = io_uring_submit(&ring_);
      if (n > 0) {
        for (int i = 0; i < n; ++i) unsent_.pop();
        in_kernel_ += static_cast<std::uint32_t>(n);
        refusals_ = 0;
      } else if (n == 0 || n == -EAGAIN || n == -EBUSY) {
        if (++refusals_ > kMaxRefusals) return fail(EAGAIN);
        return wake_.signal();  // come again soon
      } else if (n != -EINTR) {
        return fail(-n);
      }
    }
  }

  void fail(int error) noexcept {
    failed_ = error;
    wake_.signal();
  }

  // Waits for everything in the kernel. False where this thread may not: it is not the issuer.
  bool drain() noexcept {
    while (in_kernel_ > 0) {
      io_uring_cqe* entry = nullptr;
      const int error = -io_uring_wait_cqe(&ring_, &entry);
      if (error == EINTR) continue;
      if (error != 0) return false;
      io_uring_cqe_seen(&ring_, entry);
      --in_kernel_;
    }
    return true;
  }

  // Waits until the kernel has ended the closed ring. Bounded, as a forked child may hold it open.
  void await_kernel() const noexcept {
    pollfd ended{ended_fd_, 0, 0};
    while (::poll(&ended, 1, kEndingMs) < 0 && errno == EINTR) {
    }
  }

  // Constant after open.
  const int fd_;
  const bool has_commands_;
  const NvmeNamespace commands_;  // if has_commands_
  const bool poll_;
  const EventFd& wake_;
  const std::uint32_t capacity_;
  const BufferMap buffers_;
  int ended_fd_ = -1;  // hangs up once the kernel has let go of the ring
  bool open_ = false;
  bool deferred_ = false;
  std::string description_;

  // The issuer's.
  bool fixed_ = false;
  io_uring ring_{};
  bool enabled_ = false;
  Fifo<std::uint64_t> unsent_;
  std::uint32_t in_kernel_ = 0;
  std::uint32_t refusals_ = 0;
  int failed_ = 0;  // a positive errno
};

}  // namespace

Result<std::unique_ptr<IoQueue>> open_uring_queue(int fd, const QueueConfig& config, std::string* why) {
  auto queue = std::make_unique<UringQueue>(fd, nullptr, config);
  if (const Status s = queue->open(config.single_issuer, why); !s.ok()) return s;
  return Result<std::unique_ptr<IoQueue>>(std::move(queue));
}

Result<std::unique_ptr<IoQueue>> open_command_queue(const NvmeNamespace& on, const QueueConfig& config,
                                                    std::string* why) {
  auto queue = std::make_unique<UringQueue>(on.fd, &on, config);
  if (const Status s = queue->open(config.single_issuer, why); !s.ok()) {
    *why += ", or use the block device instead of the character device";
    return s;
  }
  return Result<std::unique_ptr<IoQueue>>(std::move(queue));
}

}  // namespace kelvin::nvme

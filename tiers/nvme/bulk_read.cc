// See bulk_read.h.
#include "tiers/nvme/bulk_read.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "tiers/nvme/errors.h"
#include "tiers/nvme/format.h"

namespace kelvin::nvme {
namespace {

constexpr std::uint64_t kPieceBytes = 1ULL << 20;
constexpr std::uint32_t kDepth = 8;

// One run of pieces through one queue.
class BulkRead {
 public:
  BulkRead(IoQueue& queue, const EventFd& wake, std::uint64_t offset, std::span<std::byte> bytes)
      : queue_(queue), wake_(wake), offset_(offset) {
    for (std::size_t at = 0; at < bytes.size(); at += kPieceBytes) {
      pieces_.push_back({bytes.data() + at, std::min<std::size_t>(kPieceBytes, bytes.size() - at)});
    }
    done_.resize(pieces_.size());
  }

  Status run() {
    std::array<IoResult, kDepth> results;
    while (next_ < pieces_.size() || in_flight_ > 0) {
      while (next_ < pieces_.size() && in_flight_ < kDepth && status_.ok()) submit(next_++);
      if (in_flight_ == 0) break;
      pollfd readable{wake_.fd(), POLLIN, 0};
      ::poll(&readable, 1, -1);
      wake_.drain();
      const std::size_t n = queue_.reap(results);
      for (const IoResult& result : std::span(results).first(n)) finish(result);
    }
    return status_;
  }

 private:
  void submit(std::size_t piece) {
    const IoRequest request{.tag = piece,
                            .offset = offset_ + piece * kPieceBytes + done_[piece],
                            .vectors = &pieces_[piece],
                            .vector_count = 1};
    in_flight_ += static_cast<std::uint32_t>(queue_.submit({&request, 1}));
  }
  void finish(const IoResult& result) {
    --in_flight_;
    iovec& piece = pieces_[result.tag];
    const bool again = result.result == -EINTR || result.result == -EAGAIN;
    if (result.result <= 0 && !again) {
      if (status_.ok())
        status_ = io_status(result.result == 0 ? EIO : -result.result, "reading the slot table");
      return;
    }
    // A short read goes on where a page begins.
    const std::size_t moved = again ? 0 : static_cast<std::size_t>(result.result) / kPageBytes * kPageBytes;
    piece.iov_base = static_cast<std::byte*>(piece.iov_base) + moved;
    piece.iov_len -= moved;
    done_[result.tag] += moved;
    if (piece.iov_len != 0 && status_.ok()) submit(result.tag);
  }

  IoQueue& queue_;
  const EventFd& wake_;
  const std::uint64_t offset_;
  std::vector<iovec> pieces_;
  std::vector<std::uint64_t> done_;  // bytes of each
  std::size_t next_ = 0;
  std::uint32_t in_flight_ = 0;
  Status status_;
};

}  // namespace

Status bulk_read(Medium& medium, std::uint64_t offset, std::span<std::byte> bytes, std::string* why) {
  const EventFd wake;
  if (wake.fd() < 0) return no_event_fd(why);
  auto queue = medium.open_queue({.capacity = kDepth, .wake = &wake}, why);
  if (!queue.ok()) return queue.status();
  const Status status = BulkRead(**queue, wake, offset, bytes).run();
  if (!status.ok()) {
    *why = medium.info().path + ": its slot table cannot be read: " + status.message() +
           ": replace the drive, or begin anew with `kelvin nvme format`";
  }
  return status;
}

}  // namespace kelvin::nvme

// Lane: copies blocks between one volume and host memory, one direction, many requests in flight.
//
// A copy is cut into pieces of at most LaneConfig::piece_bytes; each piece is one request to the IoQueue.
// Half as many copies again as the drive may have are taken ahead: it is kept busy by these while the caller
// makes checksums (measured: a tenth more reads and writes a second at depth 8). The checksum of what is
// written is made while the drive writes it.
//
// A copy to a persistent volume goes on when its bytes are on the medium: then its record enters the slot
// table, and it completes when the table's page is on the medium too. Pages of a busy drive are written for a
// quarter of its depth at once: what ended meanwhile shares a page, and the caller is woken less often. A
// page waits behind all that the drive has in hand, as long as a block does: so as many copies more are
// taken.
//
// Thread contract: the thread that calls its link.
// Invariants:
//   1. An operation is in exactly one of: free, waiting_ (has pieces not yet issued), issued, to_record_,
//      in a page write, finished_.
//   2. A piece in use is in the queue or in again_; Operation::pieces counts those of an operation.
//   3. As many pieces and page writes exist as the queue has room for, so it never refuses one.
//   4. While bytes are being written to a slot, no record of that slot is in the table.
//   5. After construction nothing allocates.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/fifo.h"
#include "kelvin/link.h"
#include "tiers/nvme/depth_limit.h"
#include "tiers/nvme/io_queue.h"
#include "tiers/nvme/volume.h"

namespace kelvin::nvme {

struct LaneConfig {
  bool writes = false;            // host to volume
  std::uint32_t operations = 48;  // copies taken at once: see operations_for
  std::uint32_t depth = 32;       // blocks with the drive at once, at most
  std::uint64_t latency_ns = 0;   // fewer, where one takes longer than this; 0: any time
  std::uint64_t request_bytes = 2 << 20;
  QueueKind queue = QueueKind::kAuto;
  bool single_issuer = true;
  bool poll = false;              // see QueueConfig
  bool give_up = false;           // once the volume is lost, copies fail without asking its device
  const EventFd* wake = nullptr;  // outlives the lane
};

// How many copies keep a drive busy that has `depth` blocks at once: it may answer all of them together, and
// gets the next before their checksums are made. `records`: of copies that are recorded.
constexpr std::uint32_t operations_for(std::uint32_t depth, bool records) noexcept {
  return 2 * depth + (records ? depth : 0);
}

class Lane {
 public:
  // May throw std::bad_alloc.
  Lane(Volume& volume, const Tier& host, const LaneConfig& config);
  ~Lane();
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  // To be called once, before anything else.
  Status open(std::string* why);

  // `slot`: of the volume. False: full.
  bool submit(const Copy& copy, std::uint32_t slot) noexcept;
  void pump() noexcept;     // issues what can be issued: after some calls of submit, and of collect
  void collect() noexcept;  // takes in what the queue has finished
  std::size_t report(std::span<Completion> done) noexcept;
  bool has_reports() const noexcept { return !finished_.empty(); }
  void cancel_all() noexcept;

  const char* queue_description() const noexcept { return queue_->description(); }

 private:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  static constexpr std::uint32_t kMaxRetries = 64;  // of one request, for EAGAIN and EINTR

  struct Operation {
    Copy copy;
    std::uint32_t slot = 0;    // of the volume
    std::uint64_t issued = 0;  // bytes of the block cut into pieces so far
    std::uint32_t pieces = 0;  // of it in use
    std::uint32_t checksum = 0;
    std::uint32_t page_write = kNone;  // that carries its record
    bool waiting = false;              // in waiting_
    bool summed = false;               // `checksum` is right
    Status status;                     // the first failure
  };
  struct Piece {
    std::uint32_t operation = 0;
    std::uint32_t bytes = 0;
    std::uint32_t done = 0;
    std::uint32_t retries = 0;
    std::uint64_t offset = 0;     // in the block
    std::uint64_t issued_ns = 0;  // if the depth is measured
  };
  struct PageWrite {
    std::uint32_t page = 0;
    std::uint32_t retries = 0;
    iovec vector{};
  };
  struct alignas(kPageBytes) PageBuffer {
    std::array<std::byte, kPageBytes> bytes;
  };

  // lane.cc: bytes
  void issue() noexcept;
  bool next_piece(std::uint32_t* piece) noexcept;
  IoRequest request_for(std::uint32_t piece) noexcept;
  void advance(const IoResult& result) noexcept;
  void end_piece(std::uint32_t piece) noexcept;
  bool may_issue() const noexcept { return piece_count_ - free_pieces_.size() < depth_.now(); }
  void fail(Operation& operation, Status status) noexcept;
  Status failure(int error, const char* context) const noexcept;
  void bytes_done(std::uint32_t operation) noexcept;
  void finish(std::uint32_t operation) noexcept;
  void sum_up_issued() noexcept;
  std::uint32_t checksum_of(const Copy& copy) const noexcept;
  void sum_up(Operation& operation) noexcept;
  Slot host_slot(const Copy& copy) const noexcept { return writes_ ? copy.from : copy.to; }
  bool records() const noexcept { return writes_ && volume_.table() != nullptr; }

  // lane_records.cc: what is known of them
  bool pages_due() const noexcept;
  void record(std::uint32_t id) noexcept;
  bool next_page(std::uint32_t* page_write) noexcept;
  IoRequest request_for_page(std::uint32_t page_write) noexcept;
  void page_written(std::uint32_t page_write, std::int32_t result) noexcept;
  void end_page_write(std::uint32_t page_write, const Status& status) noexcept;
  void unrecord(std::uint32_t id, Status status) noexcept;

  // Constant after open.
  Volume& volume_;
  const Tier& host_;
  const bool writes_;
  const std::uint64_t block_bytes_;
  const std::uint64_t segment_bytes_;  // of the host
  const std::uint64_t grain_;          // a short transfer goes on at a multiple of this
  const std::uint32_t piece_bytes_;
  const std::uint32_t piece_count_;
  const std::uint32_t piece_vectors_;  // the most a piece needs
  const LaneConfig config_;

  // The caller's thread.
  std::vector<Operation> operations_;
  std::vector<Piece> pieces_;
  DepthLimit depth_;            // in pieces
  std::vector<iovec> vectors_;  // piece_vectors_ for each piece
  std::vector<PageWrite> page_writes_;
  std::vector<PageBuffer> page_buffers_;
  Fifo<std::uint32_t> free_operations_;
  Fifo<std::uint32_t> free_pieces_;
  Fifo<std::uint32_t> free_page_writes_;
  Fifo<std::uint32_t> waiting_;
  Fifo<std::uint32_t> to_sum_;     // operations that pump() has issued: writes
  Fifo<std::uint32_t> again_;      // pieces to go on with, or to try again
  Fifo<std::uint32_t> to_record_;  // operations whose record waits for its page
  Fifo<std::uint32_t> pages_again_;
  Fifo<std::uint32_t> finished_;  // operations for report
  std::array<IoRequest, 64> requests_;
  std::array<IoResult, 64> results_;
  std::unique_ptr<IoQueue> queue_;  // ends first: the kernel reads vectors_
};

}  // namespace kelvin::nvme

// NvmeLink: copies blocks between a block file and host memory, one direction, many requests in flight.
//
// A copy is cut into pieces of at most LinkSettings::request_bytes; each piece is one request to the IoQueue.
// Half as many copies again as the drive may have are taken ahead: it is kept busy by these while poll makes
// checksums (measured: a tenth more reads and writes a second at depth 8).
//
// Thread contract: kelvin/link.h; LinkContext::single_issuer is handed on to the queue.
// Invariants:
//   1. An operation is in exactly one of: free, waiting_ (has pieces not yet issued), issued, finished_.
//   2. A piece in use is in the queue or in again_; Operation::pieces counts those of an operation.
//   3. As many pieces exist as the queue has room for, so it never refuses one.
//   4. After construction nothing allocates.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kelvin/plugin.h"
#include "tiers/nvme/fifo.h"
#include "tiers/nvme/io_queue.h"
#include "tiers/nvme/nvme_tier.h"

namespace kelvin::nvme {

class NvmeLink final : public Link {
 public:
  // Empty where not one side is an NvmeTier and the other host memory, or where the host's segments are not
  // aligned as O_DIRECT asks.
  static Result<std::unique_ptr<Link>> connect(const LinkContext& context, std::string* why);

  // One of `from` and `to` is `file`, the other is host memory.
  NvmeLink(const Tier& from, const Tier& to, const NvmeTier& file);
  ~NvmeLink() override;

  // To be called once, before anything else.
  Status open(bool single_issuer, std::string* why);

  const LinkInfo& info() const noexcept override { return info_; }
  std::size_t submit(std::span<const Copy> copies) noexcept override;
  std::size_t poll(std::span<Completion> done) noexcept override;
  void cancel_all() noexcept override;

  const char* queue_description() const noexcept { return queue_->description(); }

 private:
  struct Operation {
    Copy copy;
    std::uint64_t issued = 0;  // bytes of the block cut into pieces so far
    std::uint32_t pieces = 0;  // of it in use
    std::uint32_t checksum = 0;
    bool waiting = false;  // in waiting_
    Status status;         // the first failure
  };
  struct Piece {
    std::uint32_t operation = 0;
    std::uint32_t bytes = 0;
    std::uint32_t done = 0;
    std::uint32_t retries = 0;
    std::uint64_t offset = 0;  // in the block
  };

  void pump() noexcept;
  bool next_piece(std::uint32_t* piece) noexcept;
  IoRequest request_for(std::uint32_t piece) noexcept;
  void advance(const IoResult& result) noexcept;
  void end_piece(std::uint32_t piece) noexcept;
  void fail(Operation& operation, Status status) noexcept;
  void finish(std::uint32_t operation) noexcept;
  std::uint32_t checksum_of(const Copy& copy) const noexcept;
  Slot host_slot(const Copy& copy) const noexcept { return writes_ ? copy.from : copy.to; }
  Slot file_slot(const Copy& copy) const noexcept { return writes_ ? copy.to : copy.from; }

  // Constant after open.
  const NvmeTier& file_;
  const Tier& host_;
  const bool writes_;  // host to file
  const std::uint64_t block_bytes_;
  const std::uint64_t segment_bytes_;  // of the host
  const std::uint64_t grain_;          // a short transfer goes on at a multiple of this
  const std::uint32_t piece_bytes_;
  const std::uint32_t piece_count_;
  const std::uint32_t piece_vectors_;  // the most a piece needs
  LinkInfo info_;

  // The caller's thread.
  std::vector<Operation> operations_;
  std::vector<Piece> pieces_;
  std::vector<iovec> vectors_;  // piece_vectors_ for each piece
  Fifo<std::uint32_t> free_operations_;
  Fifo<std::uint32_t> free_pieces_;
  Fifo<std::uint32_t> waiting_;
  Fifo<std::uint32_t> again_;     // pieces to go on with, or to try again
  Fifo<std::uint32_t> finished_;  // operations for poll to report
  std::array<IoRequest, 64> requests_;
  std::array<IoResult, 64> results_;
  std::unique_ptr<IoQueue> queue_;  // ends first: the kernel reads vectors_
};

}  // namespace kelvin::nvme

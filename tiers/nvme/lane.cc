// The bytes of copies: see lane.h.
#include "tiers/nvme/lane.h"

#include <algorithm>
#include <cassert>
#include <cerrno>

#include "base/clock.h"
#include "checksum/crc32c.h"
#include "tiers/nvme/block_device.h"
#include "tiers/nvme/errors.h"

namespace kelvin::nvme {
namespace {

constexpr std::uint64_t kMaxVectors = 1024;  // IOV_MAX
constexpr std::uint64_t kMaxRequests =
    1024;                                  // in flight; the rest of a deep queue of large blocks waits here
constexpr std::uint32_t kPageWrites = 16;  // of the slot table at once

std::uint32_t piece_bytes_for(std::uint64_t block_bytes, std::uint64_t request_bytes,
                              const MediumInfo& medium, const TierInfo& host, std::uint64_t grain) {
  std::uint64_t bytes = std::min(block_bytes, request_bytes);
  if (const std::uint64_t most = medium.max_request_bytes; most != 0 && bytes > most) {
    // Pieces of one size, where the drive's limit would leave a small rest.
    const std::uint64_t pieces = (block_bytes + most - 1) / most;
    bytes = std::min(most, ((block_bytes + pieces - 1) / pieces + grain - 1) / grain * grain);
  }
  // A piece may begin and end inside a segment, hence two vectors more than whole segments fit in.
  if (host.segments > 1) bytes = std::min(bytes, (kMaxVectors - 2) * host.segment_bytes);
  return static_cast<std::uint32_t>(std::max(bytes / grain * grain, grain));
}

std::uint64_t vectors_for(std::uint64_t piece_bytes, const TierInfo& host) {
  return host.segments == 1 ? 1
                            : std::min<std::uint64_t>(piece_bytes / host.segment_bytes + 2, host.segments);
}

}  // namespace

Lane::Lane(Volume& volume, const Tier& host, const LaneConfig& config)
    : volume_(volume),
      host_(host),
      writes_(config.writes),
      block_bytes_(volume.geometry().block_bytes),
      segment_bytes_(host.info().segment_bytes),
      grain_(volume.medium().info().direct ? kPageBytes : 1),
      piece_bytes_(
          piece_bytes_for(block_bytes_, config.request_bytes, volume.medium().info(), host.info(), grain_)),
      piece_count_(static_cast<std::uint32_t>(
          std::min(config.depth * ((block_bytes_ + piece_bytes_ - 1) / piece_bytes_), kMaxRequests))),
      piece_vectors_(static_cast<std::uint32_t>(vectors_for(piece_bytes_, host.info()))),
      config_(config),
      operations_(config.operations),
      pieces_(piece_count_),
      depth_(piece_count_, config.latency_ns),
      vectors_(static_cast<std::size_t>(piece_count_) * piece_vectors_),
      page_writes_(records() ? kPageWrites : 0),
      page_buffers_(page_writes_.size()),
      free_operations_(numbered(config.operations)),
      free_pieces_(numbered(piece_count_)),
      free_page_writes_(numbered(static_cast<std::uint32_t>(page_writes_.size()))),
      waiting_(config.operations),
      to_sum_(config.operations),
      again_(piece_count_),
      to_record_(config.operations),
      pages_again_(page_writes_.size()),
      finished_(config.operations) {}

Lane::~Lane() {
  queue_.reset();  // waits for what is in flight
  for (const Operation& operation : operations_) {
    // Nobody knows whether these were written: their page is written again when the volume is closed.
    if (operation.page_write != kNone) volume_.table()->end_page(SlotTable::page_of(operation.slot), false);
  }
}

Status Lane::open(std::string* why) {
  QueueConfig config;
  config.kind = config_.queue;
  config.memory = host_.info().ranges;
  config.unit_bytes = host_.info().segments == 1 ? block_bytes_ : segment_bytes_;
  config.capacity = piece_count_ + static_cast<std::uint32_t>(page_writes_.size());
  config.wake = config_.wake;
  config.single_issuer = config_.single_issuer;
  config.poll = config_.poll;
  auto queue = volume_.medium().open_queue(config, why);
  if (!queue.ok()) return queue.status();
  queue_ = std::move(queue).value();
  return {};
}

bool Lane::submit(const Copy& copy, std::uint32_t slot) noexcept {
  if (free_operations_.empty()) return false;
  const std::uint32_t id = free_operations_.pop();
  operations_[id] = {.copy = copy, .slot = slot, .waiting = true, .status = {}};
  waiting_.push(id);
  return true;
}

void Lane::collect() noexcept {
  std::size_t n = 0;
  do {
    n = queue_->reap(results_);
    for (const IoResult& result : std::span(results_).first(n)) {
      if (result.tag >= piece_count_) {
        page_written(static_cast<std::uint32_t>(result.tag) - piece_count_, result.result);
      } else {
        advance(result);
      }
    }
  } while (n == results_.size());
}

std::size_t Lane::report(std::span<Completion> done) noexcept {
  std::size_t reported = 0;
  while (reported < done.size() && !finished_.empty()) {
    const std::uint32_t id = finished_.pop();
    Operation& operation = operations_[id];
    Completion& completion = done[reported++];
    completion = {operation.copy.tag, operation.status, 0};
    if (operation.status.ok() && operation.copy.checksum) {
      sum_up(operation);
      completion.checksum = operation.checksum;
    }
    free_operations_.push(id);
  }
  return reported;
}

void Lane::cancel_all() noexcept {
  const Status canceled(Code::kCanceled, "copying a block by an nvme link");
  while (!waiting_.empty()) {
    const std::uint32_t id = waiting_.pop();
    operations_[id].waiting = false;
    fail(operations_[id], canceled);
    bytes_done(id);
  }
  while (!again_.empty()) {
    const std::uint32_t piece = again_.pop();
    fail(operations_[pieces_[piece].operation], canceled);
    end_piece(piece);
  }
  while (!to_record_.empty()) unrecord(to_record_.pop(), canceled);
  while (!pages_again_.empty()) end_page_write(pages_again_.pop(), canceled);
  queue_->cancel();
}

void Lane::pump() noexcept {
  issue();
  sum_up_issued();
}

// Issues pages and pieces as long as there are any to issue and room for them.
void Lane::issue() noexcept {
  const bool pages = pages_due();
  for (;;) {
    std::size_t n = 0;
    std::uint32_t at = 0;
    while (pages && n < requests_.size() && next_page(&at)) requests_[n++] = request_for_page(at);
    while (n < requests_.size() && next_piece(&at)) requests_[n++] = request_for(at);
    if (n == 0) return;
    const std::size_t taken = queue_->submit(std::span(requests_).first(n));
    assert(taken == n && "invariant 3");
    if (taken == n) continue;
    for (std::size_t i = taken; i < n; ++i) {
      const auto tag = static_cast<std::uint32_t>(requests_[i].tag);
      if (tag >= piece_count_) {
        pages_again_.push(tag - piece_count_);
      } else {
        again_.push(tag);
      }
    }
    return;
  }
}

bool Lane::next_piece(std::uint32_t* piece) noexcept {
  if (!again_.empty()) {
    *piece = again_.pop();
    return true;
  }
  while (!waiting_.empty() && may_issue()) {
    const std::uint32_t id = waiting_.front();
    Operation& operation = operations_[id];
    if (config_.give_up && volume_.health().lost()) {
      fail(operation, {Code::kUnavailable, "copying a block: its device is lost"});
    }
    if (operation.status.ok()) {
      if (operation.issued == 0 && records()) volume_.table()->clear(operation.slot);
      *piece = free_pieces_.pop();
      const auto bytes =
          static_cast<std::uint32_t>(std::min<std::uint64_t>(piece_bytes_, block_bytes_ - operation.issued));
      pieces_[*piece] = {.operation = id,
                         .bytes = bytes,
                         .offset = operation.issued,
                         .issued_ns = depth_.measures() ? monotonic_ns() : 0};
      operation.issued += bytes;
      ++operation.pieces;
      if (operation.issued == block_bytes_) {
        operation.waiting = false;
        waiting_.pop();
        if (writes_) to_sum_.push(id);
      }
      return true;
    }
    // One of its pieces has failed: the rest is not worth the drive's time.
    operation.waiting = false;
    waiting_.pop();
    bytes_done(id);
  }
  return false;
}

IoRequest Lane::request_for(std::uint32_t piece) noexcept {
  const Piece& part = pieces_[piece];
  const Copy& copy = operations_[part.operation].copy;
  iovec* vectors = &vectors_[static_cast<std::size_t>(piece) * piece_vectors_];
  std::uint64_t at = part.offset + part.done;
  const std::uint64_t end = part.offset + part.bytes;
  IoRequest request{.tag = piece,
                    .write = writes_,
                    .offset = volume_.geometry().offset(operations_[part.operation].slot) + at,
                    .vectors = vectors};
  while (at < end) {
    const auto segment = static_cast<std::uint32_t>(at / segment_bytes_);
    const std::uint64_t skipped = at % segment_bytes_;
    const std::uint64_t bytes = std::min(segment_bytes_ - skipped, end - at);
    vectors[request.vector_count++] = {host_.address(host_slot(copy), segment).pointer + skipped, bytes};
    at += bytes;
  }
  return request;
}

// What the queue says about one piece.
void Lane::advance(const IoResult& result) noexcept {
  const auto id = static_cast<std::uint32_t>(result.tag);
  Piece& piece = pieces_[id];
  Operation& operation = operations_[piece.operation];
  const int error = result.result < 0 ? -result.result : 0;
  const bool retry = (error == EAGAIN || error == EINTR) && ++piece.retries <= kMaxRetries;
  if (error == 0) {
    // A short transfer that ends inside a page goes on at the page's start, as O_DIRECT asks.
    const std::uint64_t moved = static_cast<std::uint64_t>(result.result) / grain_ * grain_;
    piece.done += static_cast<std::uint32_t>(moved);
    if (moved == 0) fail(operation, failure(0, "the block file ends before the block"));
  } else if (!retry) {
    fail(operation,
         failure(error, writes_ ? "writing a block to the drive" : "reading a block from the drive"));
  }
  if (piece.done < piece.bytes && operation.status.ok()) {
    again_.push(id);
  } else {
    end_piece(id);
  }
}

void Lane::end_piece(std::uint32_t piece) noexcept {
  if (depth_.measures()) depth_.ended(monotonic_ns() - pieces_[piece].issued_ns, !waiting_.empty());
  const std::uint32_t id = pieces_[piece].operation;
  free_pieces_.push(piece);
  --operations_[id].pieces;
  bytes_done(id);
}

void Lane::fail(Operation& operation, Status status) noexcept {
  if (operation.status.ok()) operation.status = status;
}

// `error`: 0 for an end before the last byte.
Status Lane::failure(int error, const char* context) const noexcept {
  const int device = volume_.medium().info().block_fd;
  if ((error == 0 || error == ENOSPC) && device >= 0 && block_device_gone(device)) error = ENODEV;
  return error == 0 ? Status(Code::kIo, context) : io_status(error, context);
}

// Goes on with the operation if none of its bytes are left to move.
void Lane::bytes_done(std::uint32_t operation) noexcept {
  if (operations_[operation].waiting || operations_[operation].pieces > 0) return;
  if (operations_[operation].status.ok() && records()) {
    record(operation);
  } else {
    finish(operation);
  }
}

void Lane::finish(std::uint32_t operation) noexcept {
  volume_.health().ended(operations_[operation].slot, operations_[operation].status.code());
  finished_.push(operation);
}

// The drive is at work on them: their checksums cost no time now.
void Lane::sum_up_issued() noexcept {
  while (!to_sum_.empty()) sum_up(operations_[to_sum_.pop()]);
}

void Lane::sum_up(Operation& operation) noexcept {
  if (operation.summed) return;
  operation.checksum = operation.copy.checksum ? checksum_of(operation.copy) : operation.copy.known_checksum;
  operation.summed = true;
}

std::uint32_t Lane::checksum_of(const Copy& copy) const noexcept {
  std::uint32_t crc = 0;
  for (std::uint32_t segment = 0; segment < host_.info().segments; ++segment) {
    crc = crc32c(host_.address(host_slot(copy), segment).pointer, segment_bytes_, crc);
  }
  return crc;
}

}  // namespace kelvin::nvme

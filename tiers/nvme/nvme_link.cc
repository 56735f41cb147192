// See nvme_link.h and nvme.h.
#include "tiers/nvme/nvme_link.h"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <new>
#include <utility>

#include "checksum/crc32c.h"
#include "tiers/nvme/errors.h"
#include "tiers/nvme/event_fd.h"
#include "tiers/nvme/nvme.h"

namespace kelvin::nvme {
namespace {

constexpr std::uint64_t kMaxVectors = 1024;  // IOV_MAX
constexpr std::uint64_t kMaxRequests =
    1024;                                  // in flight; the rest of a deep queue of large blocks waits here
constexpr std::uint32_t kMaxRetries = 64;  // of one piece, for EAGAIN and EINTR

// First guesses, of one Gen4 drive; the mover measures the real ones.
constexpr std::uint64_t kLatencyNs = 100'000;
constexpr std::uint64_t kBytesPerSecond = 3'000'000'000;

std::uint32_t piece_bytes_for(std::uint64_t block_bytes, std::uint64_t request_bytes, const TierInfo& host,
                              std::uint64_t grain) {
  std::uint64_t bytes = std::min(block_bytes, request_bytes);
  // A piece may begin and end inside a segment, hence two vectors more than whole segments fit in.
  if (host.segments > 1) bytes = std::min(bytes, (kMaxVectors - 2) * host.segment_bytes);
  return static_cast<std::uint32_t>(std::max(bytes / grain * grain, grain));
}

std::uint64_t vectors_for(std::uint64_t piece_bytes, const TierInfo& host) {
  return host.segments == 1 ? 1
                            : std::min<std::uint64_t>(piece_bytes / host.segment_bytes + 2, host.segments);
}

// Whether `host` is memory that the drive can reach directly.
bool joins(const NvmeTier& file, const TierInfo& host) {
  if (host.space != AddressSpace::kHost || host.slot_bytes != file.info().slot_bytes) return false;
  return !file.file().direct() || (host.alignment % kPageBytes == 0 && host.segment_bytes % kPageBytes == 0);
}

LinkInfo describe(const Tier& from, const Tier& to, const NvmeTier& file) {
  const std::uint32_t depth = file.links().depth;
  LinkInfo info;
  info.name = from.info().name + ">" + to.info().name;
  info.from = &from;
  info.to = &to;
  info.depth = depth + depth / 2;
  info.latency_ns = kLatencyNs + file.info().slot_bytes * 1'000'000'000 / kBytesPerSecond;
  info.bytes_per_second = kBytesPerSecond;
  return info;
}

Fifo<std::uint32_t> numbered(std::uint32_t count) {
  Fifo<std::uint32_t> numbers(count);
  for (std::uint32_t i = 0; i < count; ++i) numbers.push(i);
  return numbers;
}

}  // namespace

Result<std::unique_ptr<Link>> NvmeLink::connect(const LinkContext& context, std::string* why) {
  const auto* from = NvmeTier::of(context.from);
  const auto* to = NvmeTier::of(context.to);
  const NvmeTier* file = from != nullptr ? from : to;
  const Tier& host = from != nullptr ? context.to : context.from;
  // The host's address space tells of a second file as well.
  if (file == nullptr || !joins(*file, host.info())) return std::unique_ptr<Link>();
  try {
    auto link = std::make_unique<NvmeLink>(context.from, context.to, *file);
    if (const Status s = link->open(context.single_issuer, why); !s.ok()) return s;
    return std::unique_ptr<Link>(std::move(link));
  } catch (const std::bad_alloc&) {
    *why = "not enough memory for the queues of " + context.from.info().name + ">" + context.to.info().name;
    return Status(Code::kFull, "opening an nvme link");
  }
}

NvmeLink::NvmeLink(const Tier& from, const Tier& to, const NvmeTier& file)
    : file_(file),
      host_(&from == &file ? to : from),
      writes_(&to == &file),
      block_bytes_(file.info().slot_bytes),
      segment_bytes_(host_.info().segment_bytes),
      grain_(file.file().direct() ? kPageBytes : 1),
      piece_bytes_(piece_bytes_for(block_bytes_, file.links().request_bytes, host_.info(), grain_)),
      piece_count_(static_cast<std::uint32_t>(
          std::min(file.links().depth * ((block_bytes_ + piece_bytes_ - 1) / piece_bytes_), kMaxRequests))),
      piece_vectors_(static_cast<std::uint32_t>(vectors_for(piece_bytes_, host_.info()))),
      info_(describe(from, to, file)),
      operations_(info_.depth),
      pieces_(piece_count_),
      vectors_(static_cast<std::size_t>(piece_count_) * piece_vectors_),
      free_operations_(numbered(info_.depth)),
      free_pieces_(numbered(piece_count_)),
      waiting_(info_.depth),
      again_(piece_count_),
      finished_(info_.depth) {}

// The queue's destructor, which runs first, waits for what is in flight.
NvmeLink::~NvmeLink() = default;

Status NvmeLink::open(bool single_issuer, std::string* why) {
  const int fd = file_.file().fd();
  QueueConfig config;
  config.files = {&fd, 1};
  config.memory = host_.info().ranges;
  config.unit_bytes = host_.info().segments == 1 ? block_bytes_ : segment_bytes_;
  config.capacity = piece_count_;
  config.single_issuer = single_issuer;
  auto queue = open_queue(file_.links().queue, config, why);
  if (!queue.ok()) return queue.status();
  queue_ = std::move(queue).value();
  info_.wake_fd = queue_->wake_fd();
  return {};
}

std::size_t NvmeLink::submit(std::span<const Copy> copies) noexcept {
  std::size_t taken = 0;
  for (; taken < copies.size() && !free_operations_.empty(); ++taken) {
    const std::uint32_t id = free_operations_.pop();
    operations_[id] = {.copy = copies[taken], .waiting = true, .status = {}};
    waiting_.push(id);
  }
  pump();
  return taken;
}

std::size_t NvmeLink::poll(std::span<Completion> done) noexcept {
  std::size_t n = 0;
  do {
    n = queue_->reap(results_);
    for (const IoResult& result : std::span(results_).first(n)) advance(result);
  } while (n == results_.size());
  pump();

  std::size_t reported = 0;
  while (reported < done.size() && !finished_.empty()) {
    const std::uint32_t id = finished_.pop();
    const Operation& operation = operations_[id];
    Completion& completion = done[reported++];
    completion = {operation.copy.tag, operation.status, 0};
    if (operation.status.ok() && operation.copy.checksum) completion.checksum = checksum_of(operation.copy);
    free_operations_.push(id);
  }
  if (!finished_.empty()) EventFd::signal(info_.wake_fd);
  return reported;
}

void NvmeLink::cancel_all() noexcept {
  const Status canceled(Code::kCanceled, "copying a block by an nvme link");
  while (!waiting_.empty()) {
    const std::uint32_t id = waiting_.pop();
    operations_[id].waiting = false;
    fail(operations_[id], canceled);
    finish(id);
  }
  while (!again_.empty()) {
    const std::uint32_t piece = again_.pop();
    fail(operations_[pieces_[piece].operation], canceled);
    end_piece(piece);
  }
  queue_->cancel();
  if (!finished_.empty()) EventFd::signal(info_.wake_fd);
}

// Issues pieces as long as there are any to issue and room for them.
void NvmeLink::pump() noexcept {
  for (;;) {
    std::size_t n = 0;
    std::uint32_t piece = 0;
    while (n < requests_.size() && next_piece(&piece)) requests_[n++] = request_for(piece);
    if (n == 0) return;
    const std::size_t taken = queue_->submit(std::span(requests_).first(n));
    assert(taken == n && "invariant 3");
    if (taken == n) continue;
    for (std::size_t i = taken; i < n; ++i) again_.push(static_cast<std::uint32_t>(requests_[i].tag));
    return;
  }
}

bool NvmeLink::next_piece(std::uint32_t* piece) noexcept {
  if (!again_.empty()) {
    *piece = again_.pop();
    return true;
  }
  while (!waiting_.empty() && !free_pieces_.empty()) {
    const std::uint32_t id = waiting_.front();
    Operation& operation = operations_[id];
    if (operation.status.ok()) {
      *piece = free_pieces_.pop();
      const auto bytes =
          static_cast<std::uint32_t>(std::min<std::uint64_t>(piece_bytes_, block_bytes_ - operation.issued));
      pieces_[*piece] = {.operation = id, .bytes = bytes, .offset = operation.issued};
      operation.issued += bytes;
      ++operation.pieces;
      if (operation.issued == block_bytes_) {
        operation.waiting = false;
        waiting_.pop();
      }
      return true;
    }
    // One of its pieces has failed: the rest is not worth the drive's time.
    operation.waiting = false;
    waiting_.pop();
    finish(id);
  }
  return false;
}

IoRequest NvmeLink::request_for(std::uint32_t piece) noexcept {
  const Piece& part = pieces_[piece];
  const Copy& copy = operations_[part.operation].copy;
  iovec* vectors = &vectors_[static_cast<std::size_t>(piece) * piece_vectors_];
  std::uint64_t at = part.offset + part.done;
  const std::uint64_t end = part.offset + part.bytes;
  IoRequest request{.tag = piece,
                    .write = writes_,
                    .fd = file_.file().fd(),
                    .offset = file_.file().offset(file_slot(copy).value) + at,
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
void NvmeLink::advance(const IoResult& result) noexcept {
  const auto id = static_cast<std::uint32_t>(result.tag);
  Piece& piece = pieces_[id];
  Operation& operation = operations_[piece.operation];
  const int error = result.result < 0 ? -result.result : 0;
  const bool retry = (error == EAGAIN || error == EINTR) && ++piece.retries <= kMaxRetries;
  if (error == 0) {
    // A short transfer that ends inside a page goes on at the page's start, as O_DIRECT asks.
    const std::uint64_t moved = static_cast<std::uint64_t>(result.result) / grain_ * grain_;
    piece.done += static_cast<std::uint32_t>(moved);
    if (moved == 0) fail(operation, {Code::kIo, "the block file ends before the block", 0});
  } else if (!retry) {
    fail(operation,
         io_status(error, writes_ ? "writing a block to the drive" : "reading a block from the drive"));
  }
  if (piece.done < piece.bytes && operation.status.ok()) {
    again_.push(id);
  } else {
    end_piece(id);
  }
}

void NvmeLink::end_piece(std::uint32_t piece) noexcept {
  const std::uint32_t id = pieces_[piece].operation;
  free_pieces_.push(piece);
  --operations_[id].pieces;
  finish(id);
}

void NvmeLink::fail(Operation& operation, Status status) noexcept {
  if (operation.status.ok()) operation.status = status;
}

// Hands the operation to poll if nothing of it is left to do.
void NvmeLink::finish(std::uint32_t operation) noexcept {
  if (operations_[operation].waiting || operations_[operation].pieces > 0) return;
  finished_.push(operation);
}

std::uint32_t NvmeLink::checksum_of(const Copy& copy) const noexcept {
  std::uint32_t crc = 0;
  for (std::uint32_t segment = 0; segment < host_.info().segments; ++segment) {
    crc = crc32c(host_.address(host_slot(copy), segment).pointer, segment_bytes_, crc);
  }
  return crc;
}

}  // namespace kelvin::nvme

namespace kelvin {

constexpr LinkFactory kNvmeLink = {"nvme", &nvme::NvmeLink::connect};

}  // namespace kelvin

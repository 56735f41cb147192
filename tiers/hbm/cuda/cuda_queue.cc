// See cuda_queue.h.
#include "tiers/hbm/cuda/cuda_queue.h"

#include <algorithm>
#include <optional>

#include "tiers/hbm/cuda/crc_chunks.h"

namespace kelvin::hbm {
namespace {

constexpr const char* kCopying = "copying on the GPU";
constexpr Status kNotPinned{Code::kMisuse, "a copy of the GPU from or to host memory that is not registered"};
constexpr CrcCarries kCarries = make_crc_carries();

CUdeviceptr device_address(const std::byte* at) noexcept { return reinterpret_cast<CUdeviceptr>(at); }

}  // namespace

CudaQueue::CudaQueue(const QueueParts& parts)
    : parts_(parts), driver_(parts.context.driver()), to_(kBatch), from_(kBatch), bytes_(kBatch) {}

Result<std::unique_ptr<Queue>> CudaQueue::open(const QueueParts& parts, std::string* why) {
  std::unique_ptr<CudaQueue> queue(new CudaQueue(parts));
  Context& context = parts.context;
  Status status = context.check(queue->driver_.stream_create(&queue->stream_, CU_STREAM_NON_BLOCKING),
                                "making a stream", why);
  if (status.ok() && parts.kernels != nullptr) {
    auto lists = ListRing::open(context, why);
    if (!lists.ok()) return lists.status();
    queue->lists_ = std::move(*lists);
    CUresult result = queue->driver_.memory_allocate(&queue->sum_, sizeof(ChecksumSum));
    if (result == CUDA_SUCCESS) {
      result = queue->driver_.memory_set(queue->sum_, 0, sizeof(ChecksumSum), queue->stream_);
    }
    status = context.check(result, "allocating GPU memory of a queue", why);
  }
  if (!status.ok()) return status;
  return std::unique_ptr<Queue>(std::move(queue));
}

CudaQueue::~CudaQueue() {
  const Current current(parts_.context);
  if (!current.status().ok()) return;  // what a lost GPU had in hand ended with it
  if (stream_ != nullptr) {
    (void)parts_.context.check(driver_.stream_synchronize(stream_), "ending a stream");
    (void)driver_.stream_destroy(stream_);
  }
  lists_.reset();
  if (sum_ != 0) (void)driver_.memory_free(sum_);
}

Status CudaQueue::copy(Direction direction, Way way, std::span<const Piece> pieces) noexcept {
  const Current current(parts_.context);
  if (!current.status().ok()) return current.status();
  if (pieces.empty()) return {};
  Peer peer;
  if (direction == Direction::kToPeer) {
    const Result<Peer> found = parts_.peers.of(pieces.front().to);
    if (!found.ok()) return found.status();
    peer = *found;
  }
  switch (way) {
    case Way::kPlain: return copy_plain(direction, peer, pieces);
    case Way::kBatch: return copy_batch(direction, pieces);
    case Way::kKernel: return copy_by_kernel(direction, peer, pieces);
  }
  return {Code::kUnsupported, "an unknown way to copy"};
}

template <class Take>
Status CudaQueue::each(Direction direction, std::span<const Piece> pieces, Take take) noexcept {
  PinnedRun run;
  for (Piece piece : pieces) {
    while (piece.bytes > 0) {
      Piece cut = piece;
      CUdeviceptr host = 0;
      if (direction == Direction::kFromHost || direction == Direction::kToHost) {
        const std::byte* const at = direction == Direction::kFromHost ? piece.from : piece.to;
        if (!run.holds(at)) run = parts_.pins.find(at);
        if (run.bytes == 0) return kNotPinned;
        cut.bytes = std::min(piece.bytes, run.left(at));
        host = run.on_device(at);
      }
      const Status taken = take(cut, host);
      if (!taken.ok()) return taken;
      piece.from += cut.bytes;
      piece.to += cut.bytes;
      piece.bytes -= cut.bytes;
    }
  }
  return {};
}

Status CudaQueue::copy_plain(Direction direction, const Peer& peer, std::span<const Piece> pieces) noexcept {
  return each(direction, pieces, [&](const Piece& piece, CUdeviceptr /*host*/) {
    const CUdeviceptr to = device_address(piece.to);
    const CUdeviceptr from = device_address(piece.from);
    CUresult result = CUDA_SUCCESS;
    switch (direction) {
      case Direction::kFromHost: result = driver_.copy_from_host(to, piece.from, piece.bytes, stream_); break;
      case Direction::kToHost: result = driver_.copy_to_host(piece.to, from, piece.bytes, stream_); break;
      case Direction::kWithin: result = driver_.copy_within(to, from, piece.bytes, stream_); break;
      case Direction::kToPeer:
        result = driver_.copy_peer(to, peer.context, from, parts_.context.handle(), piece.bytes, stream_);
        break;
    }
    return parts_.context.check(result, kCopying);
  });
}

Status CudaQueue::copy_batch(Direction direction, std::span<const Piece> pieces) noexcept {
  if (driver_.batch_copy_12 == nullptr && driver_.batch_copy_13 == nullptr) {
    return {Code::kUnsupported, "copies in a batch, which drivers have since CUDA 12.8"};
  }
  filled_ = 0;
  const Status status = each(direction, pieces, [&](const Piece& piece, CUdeviceptr /*host*/) {
    to_[filled_] = device_address(piece.to);
    from_[filled_] = device_address(piece.from);
    bytes_[filled_] = piece.bytes;
    return ++filled_ < kBatch ? Status() : send_batch();
  });
  return status.ok() ? send_batch() : status;
}

Status CudaQueue::send_batch() noexcept {
  if (filled_ == 0) return {};
  BatchAttributes attributes;
  std::size_t first_with = 0;
  std::size_t refused = 0;
  const CUresult result = driver_.batch_copy_13 != nullptr
                              ? driver_.batch_copy_13(to_.data(), from_.data(), bytes_.data(), filled_,
                                                      &attributes, &first_with, 1, stream_)
                              : driver_.batch_copy_12(to_.data(), from_.data(), bytes_.data(), filled_,
                                                      &attributes, &first_with, 1, &refused, stream_);
  filled_ = 0;
  return parts_.context.check(result, kCopying);
}

Status CudaQueue::copy_by_kernel(Direction direction, const Peer& peer,
                                 std::span<const Piece> pieces) noexcept {
  if (lists_ == nullptr) return {Code::kUnsupported, "copies by a kernel: this GPU has no kernels"};
  if (direction == Direction::kToPeer && !peer.direct) {
    return {Code::kUnsupported, "copies by a kernel to a GPU that is not reached directly"};
  }
  std::span<ListEntry> list;
  std::uint32_t entries = 0;
  std::uint64_t chunks = 0;
  const Status status = each(direction, pieces, [&](const Piece& piece, CUdeviceptr host) -> Status {
    if (entries == 0) {
      const auto next = lists_->next();
      if (!next.ok()) return next.status();
      list = *next;
    }
    ListEntry& entry = list[entries++];
    entry = {.from = piece.from, .to = piece.to, .bytes = piece.bytes, .first_chunk = chunks};
    if (direction == Direction::kFromHost) entry.from = reinterpret_cast<const std::byte*>(host);
    if (direction == Direction::kToHost) entry.to = reinterpret_cast<std::byte*>(host);
    chunks += chunks_of(piece.bytes, kCopyChunk);
    if (entries < kListEntries) return {};
    const Status sent = send_list(entries, chunks);
    entries = 0;
    chunks = 0;
    return sent;
  });
  return status.ok() && entries > 0 ? send_list(entries, chunks) : status;
}

Status CudaQueue::send_list(std::uint32_t entries, std::uint64_t chunks) noexcept {
  const Status launched =
      parts_.kernels->copy(stream_, {.list = lists_->on_device(), .chunks = chunks, .entries = entries});
  return launched.ok() ? lists_->given(stream_) : launched;
}

Status CudaQueue::checksum(std::span<const Extent> extents, std::uint32_t* result) noexcept {
  if (lists_ == nullptr) return {Code::kUnsupported, "checksums on the GPU: it has no kernels"};
  const Current current(parts_.context);
  if (!current.status().ok()) return current.status();
  const auto* const at = reinterpret_cast<const std::byte*>(result);
  const PinnedRun run = parts_.pins.find(at);
  if (run.bytes == 0) return kNotPinned;
  std::uint64_t bytes = 0;
  for (const Extent& extent : extents) bytes += extent.bytes;
  const Status status = sum_up(extents, bytes, run.on_device(at));
  // A message that was taken up half-way leaves nothing for the next one.
  if (!status.ok()) (void)driver_.memory_set(sum_, 0, sizeof(ChecksumSum), stream_);
  return status;
}

Status CudaQueue::sum_up(std::span<const Extent> extents, std::uint64_t bytes, CUdeviceptr result) noexcept {
  ChecksumArguments arguments{};
  arguments.sum = reinterpret_cast<ChecksumSum*>(sum_);
  arguments.inversions = crc_inversions(kCarries, bytes);
  arguments.behind = bytes;
  do {  // once for no bytes at all
    const auto list = lists_->next();
    if (!list.ok()) return list.status();
    const auto some = extents.first(std::min<std::size_t>(extents.size(), kListEntries));
    extents = extents.subspan(some.size());
    arguments.entries = 0;
    arguments.chunks = 0;
    for (const Extent& extent : some) {
      if (extent.bytes == 0) continue;
      (*list)[arguments.entries++] = {
          .from = extent.at, .to = nullptr, .bytes = extent.bytes, .first_chunk = arguments.chunks};
      arguments.chunks += chunks_of(extent.bytes, kChecksumChunk);
      arguments.behind -= extent.bytes;
    }
    arguments.list = lists_->on_device();
    arguments.result = extents.empty() ? reinterpret_cast<std::uint32_t*>(result) : nullptr;
    Status status = parts_.kernels->checksum(stream_, arguments);
    if (status.ok()) status = lists_->given(stream_);
    if (!status.ok()) return status;
  } while (!extents.empty());
  return {};
}

Result<Record> CudaQueue::record() noexcept {
  const Current current(parts_.context);
  if (!current.status().ok()) return current.status();
  return parts_.records.record(stream_);
}

Status CudaQueue::after(Record record) noexcept {
  const Current current(parts_.context);
  if (!current.status().ok()) return current.status();
  return parts_.records.after(stream_, record);
}

}  // namespace kelvin::hbm

// CudaQueue: one non-blocking stream of a GPU.
//
// Thread contract: one thread at a time. Ends before its device; its end waits for what is on it. Nothing
// allocates after open.
#pragma once

#include <cuda.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kelvin/status.h"
#include "tiers/hbm/cuda/context.h"
#include "tiers/hbm/cuda/host_pins.h"
#include "tiers/hbm/cuda/kernels.h"
#include "tiers/hbm/cuda/list_ring.h"
#include "tiers/hbm/cuda/peer_access.h"
#include "tiers/hbm/cuda/records.h"
#include "tiers/hbm/device.h"

namespace kelvin::hbm {

// What a queue uses of its device; all of it outlives the queue.
struct QueueParts {
  Context& context;
  HostPins& pins;
  PeerAccess& peers;
  Records& records;
  Kernels* kernels = nullptr;  // null: this GPU has none
};

class CudaQueue final : public Queue {
 public:
  // Precondition: the context is current.
  static Result<std::unique_ptr<Queue>> open(const QueueParts& parts, std::string* why);
  ~CudaQueue() override;

  Status copy(Direction direction, Way way, std::span<const Piece> pieces) noexcept override;
  Status checksum(std::span<const Extent> extents, std::uint32_t* result) noexcept override;
  Result<Record> record() noexcept override;
  Status after(Record record) noexcept override;

 private:
  static constexpr std::size_t kBatch = 1024;  // copies in one call of the driver

  explicit CudaQueue(const QueueParts& parts);

  // Cuts pieces where pinned ranges end and calls take(Piece, host address as the GPU sees it or 0).
  template <class Take>
  Status each(Direction direction, std::span<const Piece> pieces, Take take) noexcept;

  Status copy_plain(Direction direction, const Peer& peer, std::span<const Piece> pieces) noexcept;
  Status copy_batch(Direction direction, std::span<const Piece> pieces) noexcept;
  Status copy_by_kernel(Direction direction, const Peer& peer, std::span<const Piece> pieces) noexcept;
  Status send_batch() noexcept;
  Status send_list(std::uint32_t entries, std::uint64_t chunks) noexcept;
  Status sum_up(std::span<const Extent> extents, std::uint64_t bytes, CUdeviceptr result) noexcept;

  // Constant after open.
  QueueParts parts_;
  const Driver& driver_;
  CUstream stream_ = nullptr;
  CUdeviceptr sum_ = 0;              // a ChecksumSum
  std::unique_ptr<ListRing> lists_;  // null: no kernels

  // A batch that is being filled.
  std::vector<CUdeviceptr> to_;
  std::vector<CUdeviceptr> from_;
  std::vector<std::size_t> bytes_;
  std::size_t filled_ = 0;
};

}  // namespace kelvin::hbm

// PeerAccess: which other GPUs this one reaches directly, found out when the first copy goes there.
//
// Thread contract: any thread.
#pragma once

#include <cuda.h>

#include <array>
#include <cstddef>

#include "base/thread_annotations.h"
#include "kelvin/status.h"
#include "tiers/hbm/cuda/context.h"

namespace kelvin::hbm {

// Another GPU.
struct Peer {
  CUcontext context = nullptr;
  bool direct = false;  // kernels here may read and write there; else the driver's copies take a detour
};

class PeerAccess {
 public:
  static constexpr int kMostGpus = 64;

  explicit PeerAccess(Context& context) noexcept : context_(context) {}
  ~PeerAccess();
  PeerAccess(const PeerAccess&) = delete;
  PeerAccess& operator=(const PeerAccess&) = delete;

  // The GPU on which this address lies. kMisuse: on none. Precondition: the context is current. The first
  // call for a GPU may take milliseconds.
  Result<Peer> of(const std::byte* at) noexcept;

 private:
  Result<Peer> meet(int ordinal) noexcept;

  Context& context_;
  Mutex mu_;
  std::array<Peer, kMostGpus> peers_ KELVIN_GUARDED_BY(mu_);
};

}  // namespace kelvin::hbm

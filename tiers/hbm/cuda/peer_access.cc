// See peer_access.h.
#include "tiers/hbm/cuda/peer_access.h"

namespace kelvin::hbm {
namespace {

constexpr const char* kDoing = "reaching another GPU";

}  // namespace

PeerAccess::~PeerAccess() {
  for (int ordinal = 0; ordinal < kMostGpus; ++ordinal) {
    CUdevice device = 0;
    if (peers_[static_cast<std::size_t>(ordinal)].context == nullptr) continue;
    if (context_.driver().device_get(&device, ordinal) == CUDA_SUCCESS) {
      (void)context_.driver().primary_release(device);
    }
  }
}

Result<Peer> PeerAccess::of(const std::byte* at) noexcept {
  int ordinal = -1;
  const CUresult asked = context_.driver().pointer_attribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL,
                                                             reinterpret_cast<CUdeviceptr>(at));
  if (asked == CUDA_ERROR_INVALID_VALUE || (asked == CUDA_SUCCESS && (ordinal < 0 || ordinal >= kMostGpus))) {
    return Status(Code::kMisuse, "a copy to another GPU whose target is on none");
  }
  const Status status = context_.check(asked, kDoing);
  if (!status.ok()) return status;
  const MutexLock lock(mu_);
  const Peer& known = peers_[static_cast<std::size_t>(ordinal)];
  return known.context != nullptr ? Result<Peer>(known) : meet(ordinal);
}

Result<Peer> PeerAccess::meet(int ordinal) noexcept KELVIN_NO_TSA {
  const Driver& driver = context_.driver();
  Peer peer;
  CUdevice device = 0;
  int can = 0;
  CUresult result = driver.device_get(&device, ordinal);
  if (result == CUDA_SUCCESS) result = driver.primary_retain(&peer.context, device);
  if (result == CUDA_SUCCESS) result = driver.device_can_access_peer(&can, context_.device(), device);
  if (result == CUDA_SUCCESS && can != 0) {
    const CUresult enabled = driver.context_enable_peer(peer.context, 0);
    // Refused (too many peers, a container's rule): the driver's copies go by host memory instead.
    peer.direct = enabled == CUDA_SUCCESS || enabled == CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED;
  }
  // Within one GPU no permission is needed.
  if (result == CUDA_SUCCESS && peer.context == context_.handle()) peer.direct = true;
  if (result != CUDA_SUCCESS) return context_.check(result, kDoing);
  peers_[static_cast<std::size_t>(ordinal)] = peer;
  return peer;
}

}  // namespace kelvin::hbm

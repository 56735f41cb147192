// CudaDevice: one GPU of NVIDIA's behind the device seam.
//
// Thread contract: as Device: any thread.
#pragma once

#include <cuda.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "kelvin/status.h"
#include "tiers/hbm/cuda/context.h"
#include "tiers/hbm/cuda/host_pins.h"
#include "tiers/hbm/cuda/kernels.h"
#include "tiers/hbm/cuda/peer_access.h"
#include "tiers/hbm/cuda/records.h"
#include "tiers/hbm/device.h"

namespace kelvin::hbm {

class CudaDevice final : public Device {
 public:
  // `driver` and `pins`, which all GPUs of a process share, outlive it. On failure `why` (never null) says
  // what to do.
  static Result<std::unique_ptr<Device>> open(const Driver& driver, HostPins& pins, std::int32_t ordinal,
                                              std::string* why);
  ~CudaDevice() override;

  const DeviceProperties& properties() const noexcept override { return properties_; }
  Result<std::unique_ptr<Memory>> allocate(std::uint64_t bytes, bool shared, std::string* why) override;
  bool holds(const std::byte* at, std::uint64_t bytes) const noexcept override;
  Status register_host(HostRange range, std::string* why) override;
  void unregister_host(HostRange range) noexcept override;
  Result<std::unique_ptr<Queue>> open_queue(std::string* why) override;
  Status passed(Record record) noexcept override;
  void give_back(Record record) noexcept override;
  Result<Record> record(Stream stream) noexcept override;
  Status after(Stream stream, Record record) noexcept override;
  Status wait(Stream stream, const std::atomic<std::uint32_t>* word, std::uint32_t value) noexcept override;
  Status enter_thread() noexcept override;

 private:
  CudaDevice(std::unique_ptr<Context> context, HostPins& pins) noexcept
      : context_(std::move(context)), pins_(pins), peers_(*context_) {}

  void describe();

  // Constant after open; in the order of their beginning.
  std::unique_ptr<Context> context_;
  HostPins& pins_;
  PeerAccess peers_;
  std::unique_ptr<Records> records_;
  std::unique_ptr<Kernels> kernels_;  // null: properties_.lacks says why
  DeviceProperties properties_;
};

}  // namespace kelvin::hbm

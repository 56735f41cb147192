// See cuda_device.h.
#include "tiers/hbm/cuda/cuda_device.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>

#include "tiers/hbm/cuda/cuda_memory.h"
#include "tiers/hbm/cuda/cuda_queue.h"

namespace kelvin::hbm {
namespace {

// CAN_USE_64_BIT_STREAM_MEM_OPS of the calls' second version, the one we use; cuda.h has changed its name.
// Where words of 64 bits are to be had, those of 32 bits are.
constexpr auto kWaitsForWords = static_cast<CUdevice_attribute>(122);

constexpr std::uint64_t kPageBytes = 2 << 20;

constexpr std::uint32_t bit(Way way) { return 1U << static_cast<unsigned>(way); }

// The node of the device's slot on the PCI bus; -1 where the kernel does not say.
std::int32_t numa_node_of(std::string pci_address) {
  std::ranges::transform(pci_address, pci_address.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::ifstream file("/sys/bus/pci/devices/" + pci_address + "/numa_node");
  std::int32_t node = -1;
  return file >> node ? node : -1;
}

// How many bytes from here on the driver knows to be this GPU's memory, in one piece.
std::uint64_t known_bytes(const Context& context, CUdeviceptr at) noexcept {
  const auto ask = [&](void* answer, CUpointer_attribute which) {
    return context.driver().pointer_attribute(answer, which, at) == CUDA_SUCCESS;
  };
  int ordinal = -1;
  CUmemorytype kind = CU_MEMORYTYPE_HOST;
  if (!ask(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL) || ordinal != context.ordinal()) return 0;
  if (!ask(&kind, CU_POINTER_ATTRIBUTE_MEMORY_TYPE) || kind != CU_MEMORYTYPE_DEVICE) return 0;
  CUdeviceptr start = 0;
  std::size_t size = 0;
  if (ask(&start, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR) && ask(&size, CU_POINTER_ATTRIBUTE_RANGE_SIZE) &&
      at >= start && at - start < size)
    return start + size - at;
  return kPageBytes - at % kPageBytes;  // the least that can be mapped
}

void say(std::string* why, const Status& status, const std::string& name) {
  if (!status.ok()) *why = name + ": " + status.context();
}

}  // namespace

Result<std::unique_ptr<Device>> CudaDevice::open(const Driver& driver, HostPins& pins, std::int32_t ordinal,
                                                 std::string* why) {
  auto context = Context::open(driver, ordinal, why);
  if (!context.ok()) return context.status();
  std::unique_ptr<CudaDevice> device(new CudaDevice(std::move(*context), pins));
  const Current current(*device->context_);
  if (!current.status().ok()) {
    say(why, current.status(), device->context_->name());
    return current.status();
  }
  auto records = Records::open(*device->context_, why);
  if (!records.ok()) return records.status();
  device->records_ = std::move(*records);
  auto kernels = Kernels::open(*device->context_, &device->properties_.lacks);
  if (kernels.ok()) {
    device->kernels_ = std::move(*kernels);
    device->properties_.lacks.clear();
  } else if (kernels.status().code() == Code::kUnavailable) {
    *why = device->properties_.lacks;
    return kernels.status();
  }
  device->describe();
  return std::unique_ptr<Device>(std::move(device));
}

CudaDevice::~CudaDevice() {
  const Current current(*context_);
  kernels_.reset();
  records_.reset();
}

void CudaDevice::describe() {
  const Driver& driver = context_->driver();
  std::array<char, 256> text{};
  properties_.name = context_->name();
  properties_.ordinal = context_->ordinal();
  if (driver.device_name(text.data(), text.size() - 1, context_->device()) == CUDA_SUCCESS) {
    properties_.model = text.data();
  }
  text.fill(0);
  if (driver.device_pci_address(text.data(), text.size() - 1, context_->device()) == CUDA_SUCCESS) {
    properties_.numa_node = numa_node_of(text.data());
  }
  std::size_t free_bytes = 0;
  std::size_t bytes = 0;
  if (driver.memory_info(&free_bytes, &bytes) == CUDA_SUCCESS) {
    properties_.bytes = bytes;
    properties_.free_bytes = free_bytes;
  }
  properties_.multiprocessors =
      static_cast<std::uint32_t>(context_->attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT));
  properties_.ways = bit(Way::kPlain);
  if (driver.batch_copy_12 != nullptr || driver.batch_copy_13 != nullptr)
    properties_.ways |= bit(Way::kBatch);
  if (kernels_ != nullptr) properties_.ways |= bit(Way::kKernel);
  properties_.checksums = kernels_ != nullptr;
  properties_.waits_for_words = context_->attribute(kWaitsForWords) != 0;
  properties_.shares_memory =
      context_->attribute(CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED) != 0 &&
      context_->attribute(CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED) != 0;
}

Result<std::unique_ptr<Memory>> CudaDevice::allocate(std::uint64_t bytes, bool shared, std::string* why) {
  const Current current(*context_);
  say(why, current.status(), properties_.name);
  if (!current.status().ok()) return current.status();
  return CudaMemory::open(*context_, bytes, shared, why);
}

// Memory that was mapped piece by piece (as PyTorch's expandable segments are) is several ranges to the
// driver.
bool CudaDevice::holds(const std::byte* at, std::uint64_t bytes) const noexcept {
  const Current current(*context_);
  if (!current.status().ok()) return false;
  for (auto address = reinterpret_cast<CUdeviceptr>(at); bytes > 0;) {
    const std::uint64_t known = known_bytes(*context_, address);
    if (known >= bytes) return true;
    if (known == 0) return false;
    address += known;
    bytes -= known;
  }
  return true;
}

Status CudaDevice::register_host(HostRange range, std::string* why) {
  const Current current(*context_);
  say(why, current.status(), properties_.name);
  return current.status().ok() ? pins_.pin(*context_, range, why) : current.status();
}

// On a lost GPU too: others may share the pins, and the list must be true.
void CudaDevice::unregister_host(HostRange range) noexcept {
  const Current current(*context_);
  pins_.unpin(*context_, range);
}

Result<std::unique_ptr<Queue>> CudaDevice::open_queue(std::string* why) {
  const Current current(*context_);
  say(why, current.status(), properties_.name);
  if (!current.status().ok()) return current.status();
  return CudaQueue::open({*context_, pins_, peers_, *records_, kernels_.get()}, why);
}

Status CudaDevice::passed(Record record) noexcept {
  const Current current(*context_);
  return current.status().ok() && record != 0 ? records_->passed(record) : current.status();
}

void CudaDevice::give_back(Record record) noexcept { records_->give_back(record); }

Result<Record> CudaDevice::record(Stream stream) noexcept {
  const Current current(*context_);
  if (!current.status().ok()) return current.status();
  return records_->record(static_cast<CUstream>(stream));
}

Status CudaDevice::after(Stream stream, Record record) noexcept {
  const Current current(*context_);
  return current.status().ok() ? records_->after(static_cast<CUstream>(stream), record) : current.status();
}

Status CudaDevice::wait(Stream stream, const std::atomic<std::uint32_t>* word, std::uint32_t value) noexcept {
  if (!properties_.waits_for_words) return {Code::kUnsupported, "this GPU's streams cannot wait for a word"};
  const Current current(*context_);
  if (!current.status().ok()) return current.status();
  const auto* const at = reinterpret_cast<const std::byte*>(word);
  const PinnedRun run = pins_.find(at);
  if (run.bytes == 0) return {Code::kMisuse, "a word to wait for in host memory that is not registered"};
  return context_->check(context_->driver().stream_wait_word(static_cast<CUstream>(stream), run.on_device(at),
                                                             value, CU_STREAM_WAIT_VALUE_GEQ),
                         "letting a stream wait for a word");
}

// Never popped: the thread takes it along to its end.
Status CudaDevice::enter_thread() noexcept {
  if (context_->lost()) return {Code::kUnavailable, "the GPU is lost, after an error that stays"};
  return context_->check(context_->driver().context_push(context_->handle()), "turning a thread to the GPU");
}

}  // namespace kelvin::hbm

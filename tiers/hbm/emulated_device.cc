// See emulated_device.h.
#include "tiers/hbm/emulated_device.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <system_error>
#include <utility>

#include "base/fd.h"
#include "base/format_text.h"

namespace kelvin::hbm {
namespace {

using Operation = EmulatedOperation;

DeviceProperties describe(std::int32_t ordinal, const EmulatedOptions& options) {
  DeviceProperties properties;
  properties.name = format_text("emulated:{}", ordinal);
  properties.model = "emulated in host memory";
  properties.ordinal = ordinal;
  properties.bytes = options.bytes;
  properties.free_bytes = options.bytes;
  properties.multiprocessors = 1;
  properties.ways = options.ways;
  properties.waits_for_words = options.waits_for_words;
  properties.checksums = options.checksums;
  properties.shares_memory = true;
  properties.emulated = true;
  return properties;
}

std::uintptr_t number(const void* at) noexcept { return reinterpret_cast<std::uintptr_t>(at); }

Status lost(const char* what) noexcept { return {Code::kUnavailable, what, ENODEV}; }

}  // namespace

class EmulatedMemory final : public Memory {
 public:
  EmulatedMemory(EmulatedDevice& device, std::byte* base, std::uint64_t bytes, Fd file)
      : device_(device), base_(base), bytes_(bytes), file_(std::move(file)) {}
  ~EmulatedMemory() override {
    device_.forget(base_);
    ::munmap(base_, bytes_);
  }

  std::byte* base() const noexcept override { return base_; }
  std::uint64_t bytes() const noexcept override { return bytes_; }
  Result<int> share() noexcept override {
    if (file_.get() < 0) return Status(Code::kUnsupported, "sharing memory that was not allocated for it");
    const int fd = ::fcntl(file_.get(), F_DUPFD_CLOEXEC, 0);
    if (fd < 0) return Status(Code::kIo, "sharing emulated memory", errno);
    return fd;
  }

 private:
  EmulatedDevice& device_;
  std::byte* const base_;
  const std::uint64_t bytes_;
  const Fd file_;
};

class EmulatedQueue final : public Queue {
 public:
  explicit EmulatedQueue(EmulatedDevice& device) : device_(device), lane_(device.mu_, device.lanes_) {}

  Status copy(Direction direction, Way way, std::span<const Piece> pieces) noexcept override {
    const MutexLock lock(device_.mu_);
    if (const Status status = device_.check(direction, way, pieces); !status.ok()) return status;
    return put([&]() KELVIN_NO_TSA {
      device_.pause(lane_, device_.costs_[static_cast<std::size_t>(way)], pieces.size());
      for (const Piece& piece : pieces) {
        Operation operation;
        operation.from = piece.from;
        operation.to = piece.to;
        operation.bytes = piece.bytes;
        lane_.put(operation);
      }
    });
  }

  Status checksum(std::span<const Extent> extents, std::uint32_t* result) noexcept override {
    const MutexLock lock(device_.mu_);
    if (device_.lanes_.lost()) return lost("a checksum on an emulated device");
    if (!device_.properties_.checksums) return {Code::kUnsupported, "a checksum on an emulated device"};
    const bool known = std::ranges::all_of(extents, [&](const Extent& extent) KELVIN_NO_TSA {
      return EmulatedDevice::covers(device_.allocations_, extent.at, extent.bytes);
    });
    if (!known || !EmulatedDevice::covers(device_.registered_, result, sizeof *result))
      return {Code::kMisuse, "a checksum on an emulated device", EFAULT};
    return put([&]() KELVIN_NO_TSA {
      device_.pause(lane_, device_.checksum_cost_, extents.size());
      Operation operation;
      operation.kind = Operation::Kind::kSum;
      for (const Extent& extent : extents) {
        operation.from = extent.at;
        operation.bytes = extent.bytes;
        lane_.put(operation);
      }
      operation.kind = Operation::Kind::kStoreSum;
      operation.result = result;
      lane_.put(operation);
    });
  }

  Result<Record> record() noexcept override {
    const MutexLock lock(device_.mu_);
    return device_.lanes_.record(lane_);
  }

  Status after(Record record) noexcept override {
    const MutexLock lock(device_.mu_);
    if (device_.lanes_.lost()) return lost("waiting on an emulated device");
    return put([&]() KELVIN_NO_TSA { lane_.put(device_.lanes_.after(record)); });
  }

 private:
  template <class F>
  Status put(F&& operations) noexcept {
    try {
      operations();
      return {};
    } catch (const std::bad_alloc&) {
      return {Code::kFull, "the queue of an emulated device"};
    }
  }

  EmulatedDevice& device_;
  EmulatedLane lane_;
};

EmulatedDevice::EmulatedDevice(std::int32_t ordinal, const EmulatedOptions& options)
    : properties_(describe(ordinal, options)), lanes_(options.records), limit_bytes_(options.bytes) {
  make_stream();
}

EmulatedDevice::~EmulatedDevice() { resume(); }

Result<std::unique_ptr<Memory>> EmulatedDevice::allocate(std::uint64_t bytes, bool shared, std::string* why) {
  constexpr const char* kWhat = "allocating on an emulated device";
  const MutexLock lock(mu_);
  if (lanes_.lost()) return lost(kWhat);
  if (bytes > limit_bytes_ - std::min(limit_bytes_, allocated_bytes_)) {
    *why = format_text("{} has {} bytes of memory, of which {} are taken: {} more are too many",
                       properties_.name, limit_bytes_, allocated_bytes_, bytes);
    return Status(Code::kFull, kWhat);
  }
  Fd file;
  if (shared) {
    file = Fd(::memfd_create("kelvin-hbm", MFD_CLOEXEC));
    if (file.get() < 0 || ::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0) {
      *why = "the kernel gives no memory file for an emulated device";
      return Status(Code::kFull, kWhat, errno);
    }
  }
  const int flags = shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
  void* const base = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags | MAP_NORESERVE, file.get(), 0);
  if (base == MAP_FAILED) {
    *why = format_text("the kernel maps no {} bytes for an emulated device", bytes);
    return Status(Code::kFull, kWhat, errno);
  }
  auto memory =
      std::make_unique<EmulatedMemory>(*this, static_cast<std::byte*>(base), bytes, std::move(file));
  allocations_.push_back({number(base), bytes, 1});
  allocated_bytes_ += bytes;
  return std::unique_ptr<Memory>(std::move(memory));
}

void EmulatedDevice::forget(const std::byte* base) noexcept {
  const MutexLock lock(mu_);
  const auto run = std::ranges::find(allocations_, number(base), &Run::begin);
  allocated_bytes_ -= run->bytes;
  allocations_.erase(run);
}

bool EmulatedDevice::holds(const std::byte* at, std::uint64_t bytes) const noexcept {
  const MutexLock lock(mu_);
  return covers(allocations_, at, bytes);
}

bool EmulatedDevice::covers(const std::vector<Run>& runs, const void* at, std::uint64_t bytes) noexcept {
  return std::ranges::any_of(runs, [&](const Run& run) {
    return number(at) >= run.begin && bytes <= run.bytes && number(at) - run.begin <= run.bytes - bytes;
  });
}

Status EmulatedDevice::register_host(HostRange range, std::string* why) {
  const MutexLock lock(mu_);
  if (lanes_.lost()) return lost("registering host memory");
  if (failing_registrations_ > 0) {
    if (failing_registrations_ != ~0U) --failing_registrations_;
    *why = format_text("{} refuses to pin {} bytes, as it was told to", properties_.name, range.bytes);
    return {Code::kIo, "registering host memory", ENOMEM};
  }
  const auto known = std::ranges::find_if(registered_, [&](const Run& run) {
    return run.begin == number(range.base) && run.bytes == range.bytes;
  });
  if (known != registered_.end()) {
    ++known->count;
  } else {
    registered_.push_back({number(range.base), range.bytes, 1});
  }
  return {};
}

void EmulatedDevice::unregister_host(HostRange range) noexcept {
  const MutexLock lock(mu_);
  std::erase_if(registered_, [&](Run& run) {
    return run.begin == number(range.base) && run.bytes == range.bytes && --run.count == 0;
  });
}

std::uint64_t EmulatedDevice::registered_bytes() const noexcept {
  const MutexLock lock(mu_);
  std::uint64_t bytes = 0;
  for (const Run& run : registered_) bytes += run.bytes;
  return bytes;
}

Result<std::unique_ptr<Queue>> EmulatedDevice::open_queue(std::string* why) {
  try {
    return std::unique_ptr<Queue>(std::make_unique<EmulatedQueue>(*this));
  } catch (const std::system_error& error) {
    *why = "no thread for a queue of " + properties_.name;
    return Status(Code::kFull, "opening a queue", error.code().value());
  }
}

Status EmulatedDevice::check(Direction direction, Way way, std::span<const Piece> pieces) noexcept {
  constexpr const char* kWhat = "copying on an emulated device";
  if (lanes_.lost()) return lost(kWhat);
  if ((properties_.ways >> static_cast<unsigned>(way) & 1U) == 0) return {Code::kUnsupported, kWhat};
  if (failing_copies_ > 0) {
    --failing_copies_;
    return {failure_, kWhat, EIO};
  }
  if (pieces.size() > kMaxPieces) return {Code::kInvalid, kWhat, E2BIG};
  for (const Piece& piece : pieces) {
    const bool from =
        covers(direction == Direction::kFromHost ? registered_ : allocations_, piece.from, piece.bytes);
    // Memory of a peer is another device's to know.
    const bool to =
        direction == Direction::kToPeer ||
        covers(direction == Direction::kToHost ? registered_ : allocations_, piece.to, piece.bytes);
    if (!from || !to) return {Code::kMisuse, kWhat, EFAULT};
    const auto bits = number(piece.from) | number(piece.to) | piece.bytes;
    if (way == Way::kKernel && bits % kKernelGrain != 0) return {Code::kInvalid, kWhat, EINVAL};
  }
  return {};
}

Status EmulatedDevice::passed(Record record) noexcept {
  const MutexLock lock(mu_);
  return lanes_.passed(record);
}

void EmulatedDevice::give_back(Record record) noexcept {
  const MutexLock lock(mu_);
  lanes_.give_back(record);
}

}  // namespace kelvin::hbm

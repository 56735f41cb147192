// Device: what the HBM tier needs of a GPU, and no more. Two implementations: CUDA, found at run time, and
// one that is emulated in host memory, with streams of its own, for tests and for machines without a GPU.
//
// A Device hands out memory and queues. A Queue is one private, non-blocking stream: what is put on it
// happens in order, beside whatever the engine does, and is known to be done by records that are polled.
// There are no callbacks.
//
// Thread contract: a Device is called from any thread. A Queue belongs to one thread at a time.
// Ownership: memory, registrations and queues end before their Device; ending a queue waits for what is on
// it. Errors, everywhere: kFull: no memory on the device. kUnavailable: the device is lost (an error that
// stays, a reset, an unplugged GPU): nothing on it succeeds any more. kIo: this call failed, others may
// succeed. `why`, where there is one, says what to do.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "kelvin/status.h"
#include "kelvin/tier.h"

namespace kelvin::hbm {

// How pieces can be copied. What is the fastest for which size and count is found out at start-up.
enum class Way : std::uint8_t {
  kPlain,   // one asynchronous copy a piece
  kBatch,   // all in one call of the driver
  kKernel,  // one kernel gathers or scatters them, with few CTAs, 16 bytes at a time
};
inline constexpr std::size_t kWays = 3;

inline constexpr std::size_t kMaxPieces = 1024;  // of one call of Queue::copy or Queue::checksum
inline constexpr std::uint64_t kKernelGrain = 16;

enum class Direction : std::uint8_t { kFromHost, kToHost, kWithin, kToPeer };

// Bytes to be copied. Host addresses lie in registered memory; device addresses are never dereferenced here.
struct Piece {
  const std::byte* from = nullptr;
  std::byte* to = nullptr;
  std::uint64_t bytes = 0;
};

// Bytes on the device whose crc32c is wanted: the pieces of one block, one after the other.
struct Extent {
  const std::byte* at = nullptr;
  std::uint64_t bytes = 0;
};

struct DeviceProperties {
  std::string name;   // "cuda:0", "emulated:0"
  std::string model;  // for a person
  std::int32_t ordinal = 0;
  std::uint64_t bytes = 0;       // memory in all
  std::uint64_t free_bytes = 0;  // when it was opened
  std::uint32_t multiprocessors = 0;
  std::int32_t numa_node = -1;   // the host memory node that it is near
  std::uint32_t ways = 0;        // bit w: Way w is to be had
  bool waits_for_words = false;  // Queue and engine streams can wait for a word in host memory
  bool checksums = false;        // Queue::checksum
  bool shares_memory = false;    // Memory can be exported to other processes
  bool emulated = false;         // it is played in host memory
  std::string lacks;             // what it lacks of all that, why, and how to mend it; for a person
};

// One run of device memory.
class Memory {
 public:
  virtual ~Memory() = default;
  virtual std::byte* base() const noexcept = 0;
  virtual std::uint64_t bytes() const noexcept = 0;
  // A handle (a file descriptor, the caller's to close) by which another process maps it. kUnsupported: it
  // was not allocated to be shared.
  virtual Result<int> share() noexcept = 0;

 protected:
  Memory() = default;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
};

// Something that will be done: what was on a queue or a stream when the record was made. Pooled; 0: none.
using Record = std::uint64_t;

class Queue {
 public:
  virtual ~Queue() = default;

  // Puts the copies of all pieces on the queue. The pieces are copied by the call. kUnsupported: this way is
  // not to be had. kBusy: too many are on the queue. kMisuse: host memory that is not registered. After any
  // failure some of the pieces may be on the queue. Preconditions: at most kMaxPieces; for kKernel, addresses
  // and sizes are multiples of kKernelGrain.
  virtual Status copy(Direction direction, Way way, std::span<const Piece> pieces) noexcept = 0;

  // Puts on the queue: the crc32c of the bytes of all extents, one after the other, into *result, which lies
  // in registered host memory. kBusy: too many are on the queue.
  virtual Status checksum(std::span<const Extent> extents, std::uint32_t* result) noexcept = 0;

  // A record of all that is on the queue now. kBusy: too many records are open.
  virtual Result<Record> record() noexcept = 0;

  // What is put on the queue from now on comes after this record, made by whatever queue or stream.
  virtual Status after(Record record) noexcept = 0;

 protected:
  Queue() = default;
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;
};

class Device {
 public:
  virtual ~Device() = default;

  virtual const DeviceProperties& properties() const noexcept = 0;

  // `shared`: so that Memory::share works.
  virtual Result<std::unique_ptr<Memory>> allocate(std::uint64_t bytes, bool shared, std::string* why) = 0;

  // Whether all these bytes are memory of this device, whoever allocated it.
  virtual bool holds(const std::byte* at, std::uint64_t bytes) const noexcept = 0;

  // Pins host memory so that queues can copy from and to it. Takes long: in steps of at most 1 GiB, in the
  // background. Counted: a range that was registered twice is pinned until it was unregistered twice; what
  // somebody else pinned already (the engine) stays pinned.
  virtual Status register_host(HostRange range, std::string* why) = 0;
  virtual void unregister_host(HostRange range) noexcept = 0;

  virtual Result<std::unique_ptr<Queue>> open_queue(std::string* why) = 0;

  // Ok: what it recorded is done. kBusy: not yet. Each record is to be given back once, done or not. Of
  // record 0 it says whether the device is there: ok or kUnavailable.
  virtual Status passed(Record record) noexcept = 0;
  virtual void give_back(Record record) noexcept = 0;

  // The same for streams that are not Kelvin's. `wait`: as Streams::wait; the word lies in registered memory.
  virtual Result<Record> record(Stream stream) noexcept = 0;
  virtual Status after(Stream stream, Record record) noexcept = 0;
  virtual Status wait(Stream stream, const std::atomic<std::uint32_t>* word,
                      std::uint32_t value) noexcept = 0;

  // Turns the calling thread, one of ours, to this device until the thread ends: for libraries beside this
  // seam, which look for a current device.
  virtual Status enter_thread() noexcept = 0;

 protected:
  Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
};

// The device of this name: "cuda:0" (the first GPU; "cuda" is short for it), "emulated:0". Opened once; it
// lives until the process ends, a lost one too. kInvalid: no such name can be. kUnavailable: there is no such
// GPU, no driver, or one that is too old. kUnsupported: this build has no such kind.
Result<Device*> open_device(const std::string& name, std::string* why);

}  // namespace kelvin::hbm

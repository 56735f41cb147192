// Tier: a place. An array of equal slots of one kind of memory, and where each of them is.
//
// A tier does not move bytes, count references, retry, checksum or measure: links, the table and the
// mover do. What a tier can do is data in `info()`; there are no `supports_x()`.
//
// Thread contract: immutable after construction; every method may be called from any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kelvin/block.h"
#include "kelvin/status.h"

namespace kelvin {

enum class TierKind : std::uint8_t { kFake, kDram, kCxl, kNvme, kHbm, kPeer };

// How the bytes of a slot are reached.
enum class AddressSpace : std::uint8_t { kHost, kDevice, kFile, kRemote };

// Where one segment of one slot is.
struct Address {
  AddressSpace space = AddressSpace::kHost;
  std::int32_t device = -1;      // kFile: file descriptor; kDevice: ordinal; kRemote: connection
  std::byte* pointer = nullptr;  // kHost, kDevice
  std::uint64_t offset = 0;      // kFile: byte offset; kRemote: remote address
};

// A run of host memory in which slots lie; links register it once with their devices.
struct HostRange {
  std::byte* base = nullptr;
  std::uint64_t bytes = 0;
};

// What a persistent tier knows of the block in one of its slots.
struct Remembered {
  Slot slot;
  BlockKey key;
  BlockKey parent;             // of the block before it, if has_parent
  bool has_parent = false;     // false: the first of its prompt, or its parent was not known
  std::uint32_t depth = 0;     // blocks before it in its prefix; saturates at 65,535
  std::uint32_t checksum = 0;  // crc32c of its bytes
  std::uint64_t written = 0;   // in the order of writing: later ones have larger numbers
};

// Ledger: which blocks lie in the slots of a persistent tier, as the medium itself says. Entries are made by
// the links that write blocks: a copy that completed there is in the ledger.
//
// Thread contract: any thread.
class Ledger {
 public:
  virtual ~Ledger() = default;

  // Writes up to out.size() entries of slots from `first` on, in their order; returns how many, and sets
  // `first` to the slot to go on with, the tier's number of slots at the end. An entry is what was written:
  // whether the bytes are still those shows when they are read and their checksum is compared.
  virtual std::size_t recall(std::uint32_t& first, std::span<Remembered> out) const noexcept = 0;

  // Takes the entries of these slots out. After a crash they may be there again, as long as nothing else was
  // written over the bytes. Precondition: nothing is written to these slots until it returns.
  virtual void forget(std::span<const Slot> slots) noexcept = 0;

 protected:
  Ledger() = default;
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;
};

// Discarder: tells the devices of a tier that slots hold nothing any more (TRIM), so that they need not carry
// the old bytes along.
//
// Thread contract: one thread at a time (the mover's).
class Discarder {
 public:
  virtual ~Discarder() = default;

  // Begins to discard these slots, and returns at once. False: what was begun before is not over, or the
  // devices do not want to know any more. Precondition: they hold nothing, and nobody reads or writes them
  // until over() says true.
  virtual bool begin(std::span<const Slot> slots) noexcept = 0;

  // Whether what was begun last is over, well or not: its slots may be written again.
  virtual bool over() noexcept = 0;

 protected:
  Discarder() = default;
  Discarder(const Discarder&) = delete;
  Discarder& operator=(const Discarder&) = delete;
};

// A stream of the engine on a device, as the device's own interface names it (CUDA: a CUstream); null: its
// default stream.
using Stream = void*;

// Streams: puts the engine's work on a device and Kelvin's own copies in order, so that no CPU waits for
// either.
//
// A slot may *follow* a stream: its bytes are in use until the device has done what was on that stream when
// follow() was called. The tier's links copy to and from such a slot after that, in the device's own order.
//
// Thread contract: any thread. Nothing allocates once the tier is open. Nothing waits, but for what puts
// something on a stream (follow, precede, wait): where the stream is full its driver makes the caller wait,
// as with any launch. Nobody else waits for that.
class Streams {
 public:
  virtual ~Streams() = default;

  // These slots follow what is on `stream` now (and what they followed before). Returns a mark, larger than
  // all marks before: passed(mark) says when it is done. Without slots: a mark of the stream alone. kBusy:
  // too many marks are open. kUnavailable: the device is lost; whoever used the slots uses them no more.
  virtual Result<std::uint64_t> follow(Stream stream, std::span<const Slot> slots) noexcept = 0;

  // What is put on `stream` from now on comes after what these slots follow.
  virtual Status precede(Stream stream, std::span<const Slot> slots) noexcept = 0;

  // Ok: done, as 0 always is. kBusy: not yet. Any other: the device is lost.
  virtual Status passed(std::uint64_t mark) noexcept = 0;
  // The largest mark that one of these slots follows and that has not passed; 0: none.
  virtual std::uint64_t open_mark(std::span<const Slot> slots) noexcept = 0;

  // Words in host memory that the device can wait for: space.max_leases of them, all 0 at first. `wait` lets
  // what is put on `stream` from now on wait until int32(words()[word] - value) >= 0. The words are there as
  // long as a stream may look at one. kUnsupported: this device cannot. kBusy: too many streams wait for too
  // many words.
  virtual std::span<std::atomic<std::uint32_t>> words() noexcept = 0;
  virtual Status wait(Stream stream, std::uint32_t word, std::uint32_t value) noexcept = 0;

 protected:
  Streams() = default;
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;
};

// SlotAccess: the host's way to blocks that it cannot address: for tools, tests and engines' odd bytes, not
// for speed. Each call waits for the device.
//
// Thread contract: any thread; the caller has the slot to itself (write) or leased (the others).
class SlotAccess {
 public:
  virtual ~SlotAccess() = default;

  // A whole block, its segments in order. Precondition: the span has slot_bytes.
  virtual Status read(Slot slot, std::span<std::byte> block) noexcept = 0;
  virtual Status write(Slot slot, std::span<const std::byte> block) noexcept = 0;
  // The crc32c of each slot's bytes, computed where they are. Precondition: as many results as slots.
  virtual Status checksums(std::span<const Slot> slots, std::span<std::uint32_t> results) noexcept = 0;

 protected:
  SlotAccess() = default;
  SlotAccess(const SlotAccess&) = delete;
  SlotAccess& operator=(const SlotAccess&) = delete;
};

// Growth: how far a tier has come whose memory is made ready in the background, while it serves already.
//
// Thread contract: the tier writes, any thread reads.
struct Growth {
  std::atomic<std::uint32_t> ready{0};  // slots 0 .. ready-1 may be used; it never falls
  // Why no more will come; lives as long as the tier. Null: they will.
  std::atomic<const char*> stopped{nullptr};
};

struct TierInfo {
  std::string name;  // unique in its space, from the config
  TierKind kind = TierKind::kFake;
  AddressSpace space = AddressSpace::kHost;
  std::uint32_t slots = 0;
  std::uint64_t slot_bytes = 0;     // bytes of one block = segments * segment_bytes
  std::uint32_t segments = 1;       // pieces a slot consists of; 1 = contiguous
  std::uint64_t segment_bytes = 0;  // bytes of one piece
  std::uint32_t alignment = 1;      // every segment's address is a multiple of this
  bool adopted = false;             // the engine owns the memory and names the slots
  std::vector<HostRange> ranges;    // kHost only: the memory that holds all slots
  Ledger* ledger = nullptr;         // of a tier whose blocks outlive the process; lives as long as the tier
  Discarder* discarder = nullptr;   // of a tier whose devices want to know which slots hold nothing; likewise
  const Growth* growth = nullptr;   // of a tier that grows to `slots`; likewise. Null: all are ready
  Streams* streams = nullptr;       // of a tier on a device with streams; likewise
  SlotAccess* access = nullptr;     // of a tier that the host cannot address; likewise
  // Of a tier whose memory other processes may map: a handle to do it by, the tier's. What is mapped begins
  // at address(Slot(0), 0). -1: not shared.
  int shared_fd = -1;
  int near_node = -1;  // of a tier on a device: the memory node that the device is near to; -1: not known
};

class Tier {
 public:
  virtual ~Tier() = default;

  // Valid as long as the tier.
  virtual const TierInfo& info() const noexcept = 0;

  // Precondition: slot < info().slots and segment < info().segments.
  virtual Address address(Slot slot, std::uint32_t segment) const noexcept = 0;

 protected:
  Tier() = default;
  Tier(const Tier&) = delete;
  Tier& operator=(const Tier&) = delete;
};

}  // namespace kelvin

// Tier: a place. An array of equal slots of one kind of memory, and where each of them is.
//
// A tier does not move bytes, count references, retry, checksum or measure: links, the table and the
// mover do. What a tier can do is data in `info()`; there are no `supports_x()`.
//
// Thread contract: immutable after construction; every method may be called from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kelvin/block.h"

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

// HbmLink: copies blocks between a device and host memory, either way, or between two slots on devices.
//
// Copies become *groups*: what one submit brought, up to kGroupBytes, is put on one of the link's queues as
// few calls of the device, with one record behind it. Copies whose segments are waited for one by one
// (Copy::arrived) are put segment by segment, all copies' first ones first, with a record every few segments.
// Host memory that is not pinned yet is carried by a few pinned buffers of a block each. Checksums are made
// on the device behind the copies, or by the caller's thread: of what goes to the device while it is under
// way, of what comes from it when it has arrived.
//
// Thread contract: that of Link.
// Invariants:
//   1. An operation is in exactly one of: free_, waiting_, a group, finished_; one with `on_host` is in
//      to_host_ as well, or alone there.
//   2. A group's operations are reported when all that was put for it is done, whatever failed.
//   3. On each lane at most one group is being put, its last.
//   4. Nothing allocates after connect().
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/fifo.h"
#include "kelvin/plugin.h"
#include "tiers/hbm/hbm_tier.h"
#include "tiers/hbm/pieces.h"
#include "tiers/hbm/pinned.h"

namespace kelvin::hbm {

class HbmLink final : public Link {
 public:
  // Empty where none of the two is an HbmTier and the other one, or host memory; where slots differ in size;
  // and where two devices cannot reach each other, or could not make a checksum on the way.
  static Result<std::unique_ptr<Link>> connect(const LinkContext& context, std::string* why);
  ~HbmLink() override;

  const LinkInfo& info() const noexcept override { return info_; }
  std::size_t submit(std::span<const Copy> copies) noexcept override;
  std::size_t poll(std::span<Completion> done) noexcept override;
  void cancel_all() noexcept override;

  // For tests: the host tier's; null between devices.
  const Registration* registration() const noexcept { return registration_; }

 private:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  static constexpr std::uint32_t kSteps = 16;                  // records of a group
  static constexpr std::uint64_t kGroupBytes = 8 << 20;        // at the speed of a bus, 0.2 ms
  static constexpr std::uint64_t kBufferBytes = 8 << 20;       // of all buffers, but for large blocks
  static constexpr std::uint64_t kHostBytesPerCall = 4 << 20;  // copied or summed in one submit or poll

  struct Operation {
    Copy copy;
    Status status;
    std::uint32_t checksum = 0;
    std::uint32_t buffer = kNone;  // that carries its bytes
    std::uint32_t next = kNone;    // of its group
    bool on_device = false;
    bool on_host = false;
  };
  // How far a group has been put on its queue; a full queue lets it wait in between.
  enum class Stage : std::uint8_t { kOrder, kBytes, kSums, kRecord, kPut };
  struct Group {
    std::uint32_t first = kNone;  // operation
    std::uint32_t last = kNone;
    Status status;
    Stage stage = Stage::kOrder;
    std::uint32_t steps = 1;
    std::uint32_t step = 0;
    std::uint32_t operation = kNone;  // whose bytes from `offset` on, or whose checksum, come next
    std::uint64_t offset = 0;
    std::uint32_t made = 0;    // records
    std::uint32_t passed = 0;  // of these
    std::array<Record, kSteps> records{};
    std::array<std::uint32_t, kSteps> arrived{};  // segments, when the record has passed
  };
  struct Lane {
    std::unique_ptr<Queue> queue;
    Fifo<std::uint32_t> active;     // groups, in the queue's order
    std::uint32_t putting = kNone;  // the last of these, if it is not all put
  };

  HbmLink(const LinkContext& context, const HbmTier& main, Direction direction);
  Status open(std::string* why);
  void estimate();

  // hbm_link_gather.cc
  void pump() noexcept;
  Lane* lane_to_put_on() noexcept;
  bool gather(Group& group) noexcept;
  bool prepare(Operation& operation) noexcept;
  void fill_buffer(Operation& operation) noexcept;
  bool layered(const Operation& operation) const noexcept {
    return operation.copy.arrived != nullptr && info_.to->info().segments > 1;
  }

  // hbm_link_put.cc
  void put(Lane& lane) noexcept;
  Status put_stage(Queue& queue, Group& group) noexcept;
  Status put_order(Queue& queue, const Group& group) noexcept;
  Status put_bytes(Queue& queue, Group& group) noexcept;
  Status put_sums(Queue& queue, Group& group) noexcept;
  Status put_record(Queue& queue, Group& group, std::uint32_t arrived) noexcept;
  void list_pieces(Group& group) noexcept;
  std::uint32_t segments_by(const Group& group, std::uint32_t step) const noexcept;
  BlockBytes source(const Operation& operation) const noexcept;
  BlockBytes target(const Operation& operation) const noexcept;

  // hbm_link_land.cc
  void collect(Lane& lane) noexcept;
  bool ended(Group& group) noexcept;
  void tell_arrived(const Group& group, std::uint32_t segments) const noexcept;
  void land(std::uint32_t id, const Status& status) noexcept;
  void work_on_host() noexcept;
  void sum_on_host(Operation& operation) const noexcept;
  void empty_buffer(Operation& operation) noexcept;
  void finish(std::uint32_t id) noexcept;

  bool to_host() const noexcept { return direction_ == Direction::kToHost; }
  Slot host_slot(const Copy& copy) const noexcept { return to_host() ? copy.to : copy.from; }
  std::byte* buffer(std::uint32_t index) const noexcept { return buffers_.base() + index * slot_bytes_; }
  std::uint32_t* sum_of(std::uint32_t id) const noexcept {
    return reinterpret_cast<std::uint32_t*>(sums_.base()) + id;
  }

  // Constant after connect.
  const HbmTier& main_;        // whose queues these are: the source, if both are on devices
  const HbmTier* const from_;  // null: host memory
  const HbmTier* const to_;
  const Tier* const host_;  // null: both are on devices
  Device& device_;
  const Direction direction_;
  const std::uint64_t slot_bytes_;
  const bool grained_;         // a kernel can copy between them
  const bool sums_on_device_;  // of what leaves the device
  LinkInfo info_;
  Registration* registration_ = nullptr;

  // The caller's thread.
  Pinned buffers_;
  Pinned sums_;
  std::vector<Operation> operations_;
  std::vector<Group> groups_;
  std::vector<Slot> slots_;      // scratch
  std::vector<Extent> extents_;  // scratch
  PieceList pieces_;             // scratch
  Fifo<std::uint32_t> free_;
  Fifo<std::uint32_t> free_groups_;
  Fifo<std::uint32_t> free_buffers_;
  Fifo<std::uint32_t> waiting_;
  Fifo<std::uint32_t> to_host_work_;
  Fifo<std::uint32_t> finished_;
  std::uint64_t host_bytes_ = 0;  // of this call
  std::size_t next_lane_ = 0;
  std::vector<Lane> lanes_;  // end first
};

}  // namespace kelvin::hbm

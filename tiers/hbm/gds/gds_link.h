// GdsLink: copies blocks from a tier whose slots lie in files (a drive's) into slots on a device: the drive
// writes to the device, no byte passes through host memory.
//
// A copy is one read for each run of its target slot, in the FileReads of the file that holds its source.
// When all bytes are there, a checksum of them is put on a queue of the device, where it is asked for: what
// comes from a drive is verified on this way as on every other. The reads are in no order with the device's
// queues and streams, so a copy sets out when nothing that its target follows is open any more.
//
// The other direction is no link of this kind: a drive's slots have records, which the drive's own link
// writes.
//
// Thread contract: that of Link.
// Invariants:
//   1. An operation is in exactly one of: free_, waiting_, a file's reads, landed_, putting_, a group of
//   sums_, finished_.
//   2. It leaves the reads when all its reads have ended, whatever failed.
//   3. Nothing allocates after connect().
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/fifo.h"
#include "kelvin/plugin.h"
#include "tiers/hbm/gds/file_reads.h"
#include "tiers/hbm/hbm_tier.h"
#include "tiers/hbm/pinned.h"

namespace kelvin::hbm {

class GdsLink final : public Link {
 public:
  using Find = Result<CuFile*> (*)(std::string* why);

  // Empty where the two are not files and an HbmTier of the same slot size; where the tier's gds is "off";
  // and with "auto" where anything is missing, on an emulated device, and where only cuFile's compatibility
  // mode is to be had: then, as on success, `why` is the remark of kelvin/plugin.h. With "on" all of that is
  // an error.
  static Result<std::unique_ptr<Link>> connect(const LinkContext& context, Find find, std::string* why);
  ~GdsLink() override;

  const LinkInfo& info() const noexcept override { return info_; }
  std::size_t submit(std::span<const Copy> copies) noexcept override;
  std::size_t poll(std::span<Completion> done) noexcept override;
  void cancel_all() noexcept override;

 private:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  static constexpr std::uint32_t kDepthOfFile = 16;  // twice what its threads have in hand
  static constexpr std::uint32_t kFailures = 32;     // in a row: the drive is lost

  struct Operation {
    Copy copy;
    Status status;
    std::uint32_t reads = 0;     // that have not ended
    std::uint32_t file = 0;      // of files_
    std::uint32_t next = kNone;  // of its group
    bool slot_only = false;
    Side failed = Side::kUnknown;
  };
  struct File {
    int descriptor = -1;
    cufile::Handle handle = nullptr;
    std::unique_ptr<FileReads> reads;
    std::uint32_t failures = 0;  // since the last success
    bool lost = false;
  };
  // Checksums behind which one record was made.
  struct Group {
    std::uint32_t first = kNone;
    Record record = 0;
  };

  GdsLink(const LinkContext& context, const HbmTier& to, CuFile& library);

  static Result<std::unique_ptr<Link>> make(const LinkContext& context, const HbmTier& to, Find find,
                                            std::string* why);
  Status find_files(std::string* why);
  Status acquire(std::string* why, std::string* remark);
  Status open(std::string* why, std::string* remark);
  void describe();

  // gds_link_reads.cc
  void pump() noexcept;
  bool begin(std::uint32_t id) noexcept;
  void list_reads(std::uint32_t id) noexcept;
  void collect(File& file) noexcept;
  void bytes_ended(std::uint32_t id) noexcept;
  void note_failure(Operation& operation) noexcept;
  void confine(Operation& operation) const noexcept;
  bool isolates(std::uint32_t file) const noexcept;
  std::uint32_t file_of(Slot from) const noexcept;

  void put_sums() noexcept;
  void collect_sums() noexcept;
  void finish_group(const Group& group, const Status& status) noexcept;
  // `side`: whose doing it was.
  static void fail(Operation& operation, const Status& status, Side side) noexcept {
    if (!operation.status.ok()) return;
    operation.status = status;
    operation.failed = status.code() == Code::kCanceled ? Side::kUnknown : side;
  }
  std::uint32_t* sum_of(std::uint32_t id) const noexcept {
    return reinterpret_cast<std::uint32_t*>(sum_memory_.base()) + id;
  }

  // Constant after connect.
  const HbmTier& to_;
  Device& device_;
  CuFile& library_;
  std::byte* registered_ = nullptr;  // the arena's base, where cuFile knows it
  LinkInfo info_;

  // The caller's thread.
  Pinned sum_memory_;
  std::unique_ptr<Queue> queue_;
  std::vector<Operation> operations_;
  std::vector<FileRead> reads_;  // scratch
  std::vector<Extent> extents_;  // scratch
  std::array<FileReadEnd, 64> ends_;
  Fifo<std::uint32_t> free_{0};
  Fifo<std::uint32_t> waiting_{0};
  Fifo<std::uint32_t> landed_{0};  // their checksums are to be put on the queue
  Group putting_;                  // no record is behind them yet
  Fifo<Group> sums_{0};
  Fifo<std::uint32_t> finished_{0};
  std::vector<File> files_;  // end first
};

}  // namespace kelvin::hbm

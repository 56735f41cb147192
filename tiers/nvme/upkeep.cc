// Upkeep of nvme tiers: see kelvin/upkeep.h.
#include "kelvin/upkeep.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <span>
#include <thread>
#include <utility>

#include "base/format_text.h"
#include "base/huge_array.h"
#include "checksum/crc32c.h"
#include "tiers/nvme/errors.h"
#include "tiers/nvme/nvme.h"
#include "tiers/nvme/open_medium.h"
#include "tiers/nvme/signature.h"
#include "tiers/nvme/volume.h"

namespace kelvin::nvme {
namespace {

constexpr std::uint32_t kBlocksBetweenReports = 64;

MediumConfig existing(const std::string& path) {
  return {.path = path, .create = false, .require_direct = false, .lock_wait_ms = 0};
}

Status format(const std::string& path, std::string* why) {
  std::string given_up;
  auto medium = open_medium_to_format(existing(path), &given_up, why);
  if (!medium.ok()) return medium.status();
  const MediumInfo& info = (*medium)->info();
  if (info.kind == MediumKind::kFile) {
    // As much as decides what a medium is. A file of odd length is cut, for ours consist of whole pages.
    const std::uint64_t bytes = std::min(info.bytes, kDataAlignment) / kPageBytes * kPageBytes;
    if (const Status s = (*medium)->reserve(bytes, false, why); !s.ok()) return s;
  }
  return erase_signatures(**medium, why);
}

void describe(const Volume& volume, VolumeReport* report) {
  const Superblock& page = volume.superblock();
  report->path = volume.medium().info().path;
  report->uuid = uuid_text(page.uuid);
  report->version = page.version;
  report->model.assign(page.model.data(), ::strnlen(page.model.data(), page.model.size()));
  report->layout = page.layout;
  report->block_bytes = page.block_bytes;
  report->block_tokens = page.block_tokens;
  report->slots = page.slots;
  report->bytes = volume.geometry().bytes();
  report->member = page.member;
  report->members = page.members;
  report->scratch = volume.geometry().scratch;
  report->clean = report->scratch || (page.flags & Superblock::kClean) != 0;
  report->owner = page.owner;
  report->used = volume.found().used;
  report->damaged_records = volume.found().damaged;
}

Result<std::unique_ptr<Volume>> open_described(const std::string& path, VolumeReport* report,
                                               std::string* why) {
  auto medium = open_medium(existing(path), why);
  if (!medium.ok()) return medium.status();
  auto volume = Volume::inspect(std::move(medium).value(), why);
  if (volume.ok()) describe(**volume, report);
  return volume;
}

Status inspect(const std::string& path, VolumeReport* report, std::string* why) {
  return open_described(path, report, why).status();
}

// Sleeps as long as the bytes read so far are ahead of the budget.
class Pace {
 public:
  explicit Pace(std::uint64_t bytes_per_second) : bytes_per_second_(bytes_per_second) {}
  void took(std::uint64_t bytes) {
    bytes_ += bytes;
    if (bytes_per_second_ == 0) return;
    const auto due =
        std::chrono::duration<double>(static_cast<double>(bytes_) / static_cast<double>(bytes_per_second_));
    std::this_thread::sleep_until(start_ + std::chrono::duration_cast<std::chrono::nanoseconds>(due));
  }

 private:
  const std::uint64_t bytes_per_second_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::uint64_t bytes_ = 0;
};

Status check_blocks(Volume& volume, const CheckRequest& request, VolumeReport* report) {
  auto buffer = HugeArray<std::byte>::make(volume.geometry().block_bytes);
  if (!buffer.ok()) return buffer.status();
  const std::span<std::byte> bytes(buffer->data(), buffer->size());
  Pace pace(request.bytes_per_second);
  for (std::uint32_t slot = 0; slot < volume.geometry().slots; ++slot) {
    Record record;
    if (!volume.table()->get(slot, &record)) continue;
    const bool readable = volume.medium().read(volume.geometry().offset(slot), bytes).ok();
    const bool right = readable && crc32c(bytes.data(), bytes.size()) == record.payload_checksum;
    ++report->checked;
    if (!readable) ++report->unreadable;
    if (readable && !right) ++report->wrong;
    if (!right && request.repair && volume.table()->clear(slot)) ++report->forgotten;
    pace.took(bytes.size());
    const bool report_now = report->checked % kBlocksBetweenReports == 0 || report->checked == report->used;
    if (report_now && request.progress && !request.progress(report->checked, report->used)) {
      return {Code::kCanceled, "checking blocks"};
    }
  }
  return {};
}

Status check(const CheckRequest& request, VolumeReport* report, std::string* why) {
  auto volume = open_described(request.path, report, why);
  if (!volume.ok()) return volume.status();
  if ((*volume)->table() == nullptr) return {};
  const Status checked = check_blocks(**volume, request, report);
  // What was found so far is mended also where the check ended early.
  const Status mended = request.repair ? (*volume)->write_table() : Status();
  const Status& status = mended.ok() ? checked : mended;
  if (!status.ok()) *why = format_text("{}: {}", request.path, status.message());
  return status;
}

}  // namespace
}  // namespace kelvin::nvme

namespace kelvin {

constexpr Upkeep kNvmeUpkeep = {"nvme", &nvme::format, &nvme::inspect, &nvme::check};

}  // namespace kelvin

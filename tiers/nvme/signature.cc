// See signature.h.
#include "tiers/nvme/signature.h"

#include <fcntl.h>

#include <algorithm>
#include <memory>
#include <span>

#include "base/fd.h"
#include "base/format_text.h"
#include "base/huge_array.h"
#include "tiers/nvme/errors.h"
#include "tiers/nvme/format.h"
#ifdef KELVIN_HAVE_BLKID
#include <blkid/blkid.h>
#endif

namespace kelvin::nvme {
namespace {

constexpr std::uint64_t kTailBytes = 1ULL << 20;  // backups of partition tables, superblocks of old md arrays

#ifdef KELVIN_HAVE_BLKID
struct FreeProbe {
  void operator()(blkid_struct_probe* probe) const noexcept { blkid_free_probe(probe); }
};

std::string value_of(blkid_probe probe, const char* name) {
  const char* value = nullptr;
  return blkid_probe_lookup_value(probe, name, &value, nullptr) == 0 && value != nullptr ? value : "";
}

std::string words_for(blkid_probe probe) {
  const std::string table = value_of(probe, "PTTYPE");
  const std::string type = value_of(probe, "TYPE");
  if (type.empty()) return table.empty() ? "" : format_text("a partition table ({})", table);
  const std::string usage = value_of(probe, "USAGE");
  const std::string label = value_of(probe, "LABEL");
  std::string what = "data of a kind of its own";
  if (usage == "filesystem") what = "a file system";
  if (usage == "raid") what = "a part of a RAID or a volume group";
  if (usage == "crypto") what = "encrypted data";
  if (type == "swap") what = "a swap area";
  return format_text("{} ({}{})", what, type, label.empty() ? "" : format_text(", \"{}\"", label));
}
#endif

// What libblkid knows by name within the first `bytes`.
std::string known_content([[maybe_unused]] const MediumInfo& info, [[maybe_unused]] std::uint64_t bytes) {
  std::string found;
#ifdef KELVIN_HAVE_BLKID
  if (info.block_fd < 0) return found;
  // A descriptor of its own, without O_DIRECT: libblkid reads into memory of any alignment.
  const Fd fd(::open(format_text("/proc/self/fd/{}", info.block_fd).c_str(), O_RDONLY | O_CLOEXEC));
  const std::unique_ptr<blkid_struct_probe, FreeProbe> probe(blkid_new_probe());
  if (fd.get() < 0 || probe == nullptr) return found;
  blkid_probe p = probe.get();
  if (blkid_probe_set_device(p, fd.get(), 0, static_cast<blkid_loff_t>(bytes)) != 0) return found;
  blkid_probe_enable_superblocks(p, 1);
  blkid_probe_set_superblocks_flags(p, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE | BLKID_SUBLKS_LABEL);
  blkid_probe_enable_partitions(p, 1);
  while (blkid_do_probe(p) == 0) {
    const std::string words = words_for(p);
    if (words.empty() || found.find(words) != std::string::npos) continue;
    found += (found.empty() ? "" : " and ") + words;
  }
#endif
  return found;
}

Result<bool> blank(Medium& medium, std::uint64_t from, std::uint64_t to) {
  auto memory = HugeArray<std::byte>::make(to - from);
  if (!memory.ok()) return memory.status();
  const std::span<std::byte> bytes(memory->data(), memory->size());
  if (bytes.empty()) return true;
  if (const Status s = medium.read(from, bytes); !s.ok()) return s;
  return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}

struct Found {
  bool first_is_ours = false;
  bool any_is_ours = false;
  bool first_is_blank = false;
};

Result<Found> look_for_superblocks(Medium& medium) {
  Found found;
  for (const std::uint64_t offset : kSuperblockAt) {
    Superblock page;
    if (medium.info().bytes < offset + sizeof page) break;
    const Status s = medium.read(offset, std::as_writable_bytes(std::span(&page, 1)));
    if (!s.ok()) return s;
    const PageState state = examine(page);
    const bool ours = state != PageState::kBlank && state != PageState::kForeign;
    found.any_is_ours = found.any_is_ours || ours;
    if (offset != 0) continue;
    found.first_is_ours = ours;
    found.first_is_blank = state == PageState::kBlank;
  }
  return found;
}

// Where `ours` is set, only what lies where superblocks do counts: behind it are blocks, which look like
// anything.
Result<std::string> content_of(Medium& medium) {
  const MediumInfo& info = medium.info();
  const bool device = info.kind != MediumKind::kFile;
  const auto ours = look_for_superblocks(medium);
  if (!ours.ok()) return ours.status();
  const std::uint64_t head = std::min(info.bytes, kDataAlignment);
  if (device) {
    std::string known = known_content(info, ours->any_is_ours ? head : info.bytes);
    if (!known.empty()) return known;
  }
  if (ours->any_is_ours) {
#ifndef KELVIN_HAVE_BLKID
    // A file system that was made over blocks may leave the second superblock as it was.
    if (device && !ours->first_is_ours && !ours->first_is_blank) {
      return std::string("data of an unknown kind in its first page, before blocks of Kelvin's");
    }
#endif
    return std::string();
  }
  if (info.bytes % kPageBytes != 0)
    return std::string("data of an unknown kind");  // a file; ours has whole pages
  const auto head_blank = blank(medium, 0, head);
  if (!head_blank.ok()) return head_blank.status();
  if (!*head_blank) return std::string("data of an unknown kind in its first 2 MiB");
  if (!device) return std::string();
  const auto tail_blank =
      blank(medium, std::max(head, info.bytes - std::min(info.bytes, kTailBytes)), info.bytes);
  if (!tail_blank.ok()) return tail_blank.status();
  return std::string(*tail_blank ? "" : "data of an unknown kind in its last MiB");
}

}  // namespace

Result<std::string> foreign_content(Medium& medium, std::string* why) {
  auto found = content_of(medium);
  if (found.ok()) return found;
  return refuse(
      found.status(), why,
      format_text("{}: looking for what it holds failed: {}", medium.info().path, found.status().message()));
}

Status erase_signatures(Medium& medium, std::string* why) {
  const std::uint64_t bytes = medium.info().bytes;
  auto zeros = HugeArray<std::byte>::make(kDataAlignment);
  if (!zeros.ok()) return refuse(zeros.status(), why, "not enough memory");
  const std::uint64_t head = std::min(bytes, kDataAlignment) / kPageBytes * kPageBytes;
  const std::uint64_t tail = std::max(head, bytes - std::min(bytes, kTailBytes));
  const std::span<const std::byte> all(zeros->data(), zeros->size());
  Status status = medium.write(0, all.first(head));
  if (status.ok()) status = medium.write(tail, all.first((bytes - tail) / kPageBytes * kPageBytes));
  if (status.ok()) status = medium.flush();
  if (status.ok()) return {};
  return refuse(status, why,
                format_text("{}: erasing what it holds failed: {}", medium.info().path, status.message()));
}

}  // namespace kelvin::nvme

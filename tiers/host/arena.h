// Arena: one anonymous run of host memory on the largest pages to be had.
//
// Thread contract: map() by one thread; the rest is constant afterwards.
// Invariants:
//   1. base() is a multiple of 2 MiB; [base(), base() + bytes()) is readable and writable.
//   2. No more than bytes(), rounded up to 4 KiB, is ever charged to the process: where the last huge page
//   would
//      go beyond, small pages take its place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "kelvin/status.h"

namespace kelvin {

// The option `huge_pages`.
enum class HugePages : std::uint8_t {
  kAuto,     // the first of the three below that this machine gives
  kHugetlb,  // reserved 2 MiB pages, or an error
  kThp,      // 2 MiB pages by madvise as the kernel finds them, or an error where it never does
  kNone,     // 4 KiB pages
};

// What an arena stands on.
enum class PageKind : std::uint8_t { kHugetlb, kThp, kSmall };
const char* page_kind_name(PageKind kind) noexcept;  // "hugetlb", "thp", "4KiB"

struct ArenaOptions {
  std::uint64_t bytes = 0;
  HugePages huge_pages = HugePages::kAuto;
  bool prefault = false;  // touch every page now, with a few threads
  bool lock = false;      // mlock: never swapped out; implies that every page is touched
};

class Arena {
 public:
  // kFull: more than the machine or the control group allows, or no memory left. kInvalid: no bytes asked
  // for. kUnsupported: the pages asked for are not to be had. kIo: any other refusal. `why` may be null.
  static Result<Arena> map(const ArenaOptions& options, std::string* why);

  Arena(Arena&& other) noexcept;
  Arena& operator=(Arena&& other) noexcept;
  ~Arena();

  std::byte* base() const noexcept { return base_; }
  std::uint64_t bytes() const noexcept { return bytes_; }
  PageKind pages() const noexcept { return pages_; }

 private:
  Arena(std::byte* base, std::uint64_t bytes) noexcept : base_(base), bytes_(bytes) {}

  Status take_pages(HugePages wanted, std::string* why);
  Status prefault(std::string* why) const;
  Status lock(std::string* why) const;

  std::byte* base_ = nullptr;
  std::uint64_t bytes_ = 0;
  PageKind pages_ = PageKind::kSmall;
};

}  // namespace kelvin

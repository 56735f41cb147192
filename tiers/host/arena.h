// Arena: one run of host memory on the largest pages to be had, on one memory node if asked.
//
// Thread contract: made by one thread; make_ready by one thread at a time; the rest is constant afterwards.
// Invariants:
//   1. base() is a multiple of 2 MiB; [base(), base() + bytes()) is readable and writable.
//   2. No more than bytes(), rounded up to 4 KiB, is ever charged to the process: where the last huge page
//   would
//      go beyond, smaller pages take its place.
//   3. Of an arena with a node, every page comes from that node, or its page is refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kelvin/status.h"

namespace kelvin {

// The option `huge_pages`.
enum class HugePages : std::uint8_t {
  kAuto,     // the first of the three below that this machine gives
  kHugetlb,  // reserved pages of 1 GiB or 2 MiB, or an error
  kThp,      // 2 MiB pages by madvise as the kernel finds them, or an error where it never does
  kNone,     // 4 KiB pages
};

// What an arena stands on.
enum class PageKind : std::uint8_t { kHugetlb1GiB, kHugetlb, kThp, kSmall, kDevice };
const char* page_kind_name(PageKind kind) noexcept;  // "hugetlb-1GiB", "hugetlb", "thp", "4KiB", "device"

struct ArenaOptions {
  std::uint64_t bytes = 0;
  HugePages huge_pages = HugePages::kAuto;
  bool prefault = false;  // touch every page now, with a few threads
  bool lock = false;      // mlock: never swapped out; implies that every page is touched
  int node = -1;          // the memory node that its pages come from; -1: as the kernel likes
  bool must_bind = true;  // fail where the kernel or container forbids binding; false: then do without
};

class Arena {
 public:
  // kFull: more than the machine, the node or the control group allows, or no memory left. kInvalid: no bytes
  // asked for, no such node. kUnsupported: the pages or the binding asked for are not to be had. kIo: any
  // other refusal. `why` may be null.
  static Result<Arena> map(const ArenaOptions& options, std::string* why);

  // Memory that somebody else mapped, to be given back by `release`.
  using Release = void (*)(std::byte* base, std::uint64_t bytes, int fd) noexcept;
  static Arena take_over(std::byte* base, std::uint64_t bytes, PageKind pages, int node, Release release,
                         int fd = -1) noexcept;

  Arena(Arena&& other) noexcept;
  Arena& operator=(Arena&& other) noexcept;
  ~Arena();

  // Makes the first `bytes` bytes present, with threads on `cpus` (empty: anywhere), and locks them if
  // asked; what a call before made so is left alone. kFull: there are no such pages left; `why` (may be null)
  // says what to do.
  Status make_ready(std::uint64_t bytes, bool lock, const std::vector<int>& cpus, std::string* why);

  std::byte* base() const noexcept { return base_; }
  std::uint64_t bytes() const noexcept { return bytes_; }
  PageKind pages() const noexcept { return pages_; }
  int node() const noexcept { return node_; }

 private:
  Arena(std::byte* base, std::uint64_t bytes) noexcept : base_(base), bytes_(bytes) {}

  Status take_pages(HugePages wanted, std::string* why);
  bool take_reserved();
  Status bind(bool must, std::string* why);
  Status check_room(std::uint64_t more, std::string* why) const;
  Status lock(std::byte* from, std::uint64_t bytes, std::string* why) const;

  std::byte* base_ = nullptr;
  std::uint64_t bytes_ = 0;
  std::uint64_t ready_bytes_ = 0;
  PageKind pages_ = PageKind::kSmall;
  int node_ = -1;
  int fd_ = -1;
  Release release_ = nullptr;
};

}  // namespace kelvin

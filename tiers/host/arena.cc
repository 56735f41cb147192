// See arena.h.
#include "tiers/host/arena.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <system_error>
#include <utility>

#include "base/format_text.h"
#include "machine/memory_limit.h"
#include "machine/nodes.h"
#include "machine/place.h"
#include "tiers/host/prefault.h"

namespace kelvin {
namespace {

constexpr std::uint64_t kSmallPage = 4096;
constexpr std::uint64_t kHugePage = 2ULL << 20;
constexpr std::uint64_t kGiantPage = 1ULL << 30;
constexpr int kHuge2MiB = 21 << 26;  // MAP_HUGE_2MB: the default size of huge pages may be another one
constexpr int kHuge1GiB = 30 << 26;  // MAP_HUGE_1GB

std::uint64_t round_up(std::uint64_t n, std::uint64_t to) noexcept { return (n + to - 1) / to * to; }

std::byte* align_up(std::byte* p, std::uint64_t to) noexcept {
  return p + (-reinterpret_cast<std::uintptr_t>(p) & (to - 1));
}

double gib(std::uint64_t bytes) noexcept {
  return static_cast<double>(bytes) / static_cast<double>(1ULL << 30);
}

std::string error_text(int error) { return std::generic_category().message(error); }

Status fail(Code code, int error, std::string* why, std::string text) {
  if (why != nullptr) *why = std::move(text);
  return {code, "mapping the arena", error};
}

// A run of `bytes` at a multiple of `page`. Null: errno says why.
std::byte* map_aligned(std::uint64_t bytes, std::uint64_t page, int protection, int flags) noexcept {
  void* raw = ::mmap(nullptr, bytes + page, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  if (raw == MAP_FAILED) return nullptr;
  auto* const begin = static_cast<std::byte*>(raw);
  std::byte* const base = align_up(begin, page);
  const auto before = static_cast<std::uint64_t>(base - begin);
  if (before > 0) ::munmap(begin, before);
  if (before < page) ::munmap(base + bytes, page - before);
  return base;
}

// Maps exactly there, replacing nothing. A kernel that does not know the flag takes the address for a hint.
bool map_at(std::byte* at, std::uint64_t bytes, int flags) noexcept {
  void* got = ::mmap(at, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | flags, -1, 0);
  if (got == MAP_FAILED) return false;
  if (got == at) return true;
  ::munmap(got, bytes);
  return false;
}

// From `at` on: reserved pages of `page` bytes for as much as they divide, then smaller reserved ones, then
// small pages for the rest. False: nothing is mapped there.
bool map_hugetlb_at(std::byte* at, std::uint64_t bytes, std::uint64_t page) noexcept {
  const std::uint64_t huge = bytes / page * page;
  const std::uint64_t rest = bytes - huge;
  if (!map_at(at, huge, MAP_HUGETLB | (page == kGiantPage ? kHuge1GiB : kHuge2MiB))) return false;
  if (rest == 0) return true;
  if (page == kGiantPage && rest >= kHugePage && map_hugetlb_at(at + huge, rest, kHugePage)) return true;
  if (map_at(at + huge, rest, 0)) return true;
  ::munmap(at, huge);
  return false;
}

std::byte* map_hugetlb(std::uint64_t bytes, std::uint64_t page) noexcept {
  if (bytes < page) {
    errno = ENOMEM;
    return nullptr;
  }
  // Finds room and gives it up again: a MAP_FIXED that failed would leave a hole that is not ours to unmap.
  std::byte* const base = map_aligned(bytes, page, PROT_NONE, MAP_NORESERVE);
  if (base == nullptr) return nullptr;
  ::munmap(base, bytes);
  return map_hugetlb_at(base, bytes, page) ? base : nullptr;
}

void unmap(std::byte* base, std::uint64_t bytes, int /*fd*/) noexcept { ::munmap(base, bytes); }

bool advise_thp(std::byte* base, std::uint64_t bytes) noexcept {
  try {
    std::ifstream in("/sys/kernel/mm/transparent_hugepage/enabled");
    std::string words;
    if (std::getline(in, words) && words.find("[never]") != std::string::npos) return false;
  } catch (const std::exception&) {  // then madvise alone decides
  }
  return ::madvise(base, bytes, MADV_HUGEPAGE) == 0;
}

}  // namespace

const char* page_kind_name(PageKind kind) noexcept {
  switch (kind) {
    case PageKind::kHugetlb1GiB: return "hugetlb-1GiB";
    case PageKind::kHugetlb: return "hugetlb";
    case PageKind::kThp: return "thp";
    case PageKind::kSmall: return "4KiB";
    case PageKind::kDevice: return "device";
  }
  return "unknown";
}

Result<Arena> Arena::map(const ArenaOptions& options, std::string* why) {
  if (options.bytes == 0) return fail(Code::kInvalid, 0, why, "an arena needs at least one byte");
  const MemoryLimit limit = memory_limit();
  if (options.bytes > limit.bytes) {
    return fail(
        Code::kFull, ENOMEM, why,
        format_text("{:.2f} GiB of memory asked for, but {} allows {:.2f} GiB: lower [[tier]].capacity",
                    gib(options.bytes), limit.source, gib(limit.bytes)));
  }
  if (options.node >= 0) {
    const std::vector<MemoryNode> nodes = memory_nodes();
    const MemoryNode* const node = find_node(nodes, options.node);
    if (node != nullptr && options.bytes > node->bytes) {
      return fail(Code::kFull, ENOMEM, why,
                  format_text("{:.2f} GiB of memory asked for on node {}, which has {:.2f} GiB in all: lower "
                              "[[tier]].capacity, or spread it over more nodes",
                              gib(options.bytes), options.node, gib(node->bytes)));
    }
  }
  Arena arena(nullptr, round_up(options.bytes, kSmallPage));
  arena.node_ = options.node;
  arena.release_ = unmap;
  if (const Status status = arena.take_pages(options.huge_pages, why); !status.ok()) return status;
  if (const Status status = arena.bind(options.must_bind, why); !status.ok()) return status;
  if (options.prefault || options.lock) {
    if (const Status status = arena.make_ready(arena.bytes_, options.lock, {}, why); !status.ok())
      return status;
  }
  return arena;
}

Arena Arena::take_over(std::byte* base, std::uint64_t bytes, PageKind pages, int node, Release release,
                       int fd) noexcept {
  Arena arena(base, bytes);
  arena.pages_ = pages;
  arena.node_ = node;
  arena.release_ = release;
  arena.fd_ = fd;
  return arena;
}

// Largest first. Pages are reserved for the machine as a whole: a node may have fewer, and touching one that
// is not there would kill the process.
bool Arena::take_reserved() {
  for (const auto& [page, kind] :
       {std::pair(kGiantPage, PageKind::kHugetlb1GiB), std::pair(kHugePage, PageKind::kHugetlb)}) {
    if (bytes_ < page || free_huge_pages(node_, page) < bytes_ / page) continue;
    base_ = map_hugetlb(bytes_, page);
    pages_ = kind;
    if (base_ != nullptr) return true;
  }
  return false;
}

Status Arena::take_pages(HugePages wanted, std::string* why) {
  if (wanted == HugePages::kAuto || wanted == HugePages::kHugetlb) {
    if (take_reserved()) return {};
    if (wanted == HugePages::kHugetlb) {
      const std::string where = node_ < 0 ? std::string() : format_text(" on node {}", node_);
      return fail(
          Code::kUnsupported, ENOMEM, why,
          format_text(
              "no {} reserved huge pages of 2 MiB are free{} (or the arena is smaller than one): reserve "
              "them with `sysctl vm.nr_hugepages=N`, or set huge_pages = \"auto\"",
              bytes_ / kHugePage, where));
    }
  }
  base_ = map_aligned(bytes_, kHugePage, PROT_READ | PROT_WRITE, 0);
  pages_ = PageKind::kSmall;
  if (base_ == nullptr) {
    const int error = errno;
    return fail(
        error == ENOMEM ? Code::kFull : Code::kIo, error, why,
        format_text(
            "{:.2f} GiB of memory asked for, but the system refuses ({}): lower [[tier]].capacity, or "
            "raise `ulimit -v` or vm.overcommit_memory",
            gib(bytes_), error_text(error)));
  }
  if (wanted == HugePages::kNone) {
    ::madvise(base_, bytes_, MADV_NOHUGEPAGE);  // fails only where there are none anyway
    return {};
  }
  if (advise_thp(base_, bytes_)) {
    pages_ = PageKind::kThp;
  } else if (wanted == HugePages::kThp) {
    return fail(Code::kUnsupported, 0, why,
                "this kernel gives no transparent huge pages: write \"madvise\" to "
                "/sys/kernel/mm/transparent_hugepage/enabled, or set huge_pages = \"auto\"");
  }
  return {};
}

Status Arena::bind(bool must, std::string* why) {
  if (node_ < 0) return {};
  const Status status = bind_to_node(base_, bytes_, node_);
  if (status.ok()) return {};
  if (!must) {
    node_ = -1;
    return {};
  }
  if (status.code() == Code::kUnsupported) {
    return fail(
        status.code(), status.native(), why,
        format_text("memory cannot be bound to node {} ({}): the container forbids mbind; allow it (a "
                    "seccomp profile, or CAP_SYS_NICE), or leave the node out",
                    node_, error_text(status.native())));
  }
  return fail(status.code(), status.native(), why,
              format_text("memory cannot be bound to node {} ({}): `kelvin topo` lists the nodes that this "
                          "process may use",
                          node_, error_text(status.native())));
}

// A page that its node does not have would not be refused, but make the kernel kill somebody.
Status Arena::check_room(std::uint64_t more, std::string* why) const {
  if (pages_ == PageKind::kHugetlb || pages_ == PageKind::kHugetlb1GiB || pages_ == PageKind::kDevice)
    return {};
  std::uint64_t room = memory_room();
  std::string place = "the machine";
  if (node_ >= 0) {
    const std::vector<MemoryNode> nodes = memory_nodes();
    const MemoryNode* const node = find_node(nodes, node_);
    room = node == nullptr ? 0 : node->room_bytes;
    place = format_text("node {}", node_);
  }
  if (room == 0 || more <= room) return {};  // 0: not told
  return fail(Code::kFull, ENOMEM, why,
              format_text("{} has {:.2f} GiB of memory left, and {:.2f} GiB more are needed: lower "
                          "[[tier]].capacity, or end what else uses the memory",
                          place, gib(room), gib(more)));
}

Status Arena::make_ready(std::uint64_t bytes, bool lock, const std::vector<int>& cpus, std::string* why) {
  // Whole huge pages: a part of one would bring in all of it anyway.
  const std::uint64_t end = std::min(round_up(bytes, kHugePage), bytes_);
  if (end <= ready_bytes_) return {};
  std::byte* const from = base_ + ready_bytes_;
  const std::uint64_t more = end - ready_bytes_;
  if (const Status status = check_room(more, why); !status.ok()) return status;
  if (const Status status = populate(from, more, cpus); !status.ok()) {
    if (why == nullptr) return status;
    *why = format_text(
        "{:.2f} GiB of memory were mapped, but its pages could not all be had ({}): lower "
        "[[tier]].capacity, or set prefault = false",
        gib(bytes_), error_text(status.native()));
    return status;
  }
  ready_bytes_ = end;
  return lock && pages_ != PageKind::kDevice ? this->lock(from, more, why) : Status();
}

Status Arena::lock(std::byte* from, std::uint64_t bytes, std::string* why) const {
  if (::mlock(from, bytes) == 0) return {};
  const int error = errno;
  rlimit limit{};
  ::getrlimit(RLIMIT_MEMLOCK, &limit);
  const std::string allowed =
      limit.rlim_cur == RLIM_INFINITY ? std::string("unlimited") : format_text("{} bytes", limit.rlim_cur);
  return fail(
      Code::kFull, error, why,
      format_text(
          "{} bytes cannot be locked ({}): RLIMIT_MEMLOCK is {}; raise it (`ulimit -l`, LimitMEMLOCK= of "
          "the service), or set mlock = false",
          bytes_, error_text(error), allowed));
}

Arena::Arena(Arena&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)),
      bytes_(other.bytes_),
      ready_bytes_(other.ready_bytes_),
      pages_(other.pages_),
      node_(other.node_),
      fd_(std::exchange(other.fd_, -1)),
      release_(other.release_) {}

Arena& Arena::operator=(Arena&& other) noexcept {
  std::swap(base_, other.base_);
  std::swap(bytes_, other.bytes_);
  std::swap(ready_bytes_, other.ready_bytes_);
  std::swap(pages_, other.pages_);
  std::swap(node_, other.node_);
  std::swap(fd_, other.fd_);
  std::swap(release_, other.release_);
  return *this;
}

Arena::~Arena() {
  if (base_ != nullptr) release_(base_, bytes_, fd_);
}

}  // namespace kelvin

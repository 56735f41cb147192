// See arena.h.
#include "tiers/host/arena.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <cerrno>
#include <fstream>
#include <system_error>
#include <utility>

#include "tiers/host/memory_limit.h"
#include "tiers/host/prefault.h"

namespace kelvin {
namespace {

constexpr std::uint64_t kSmallPage = 4096;
constexpr std::uint64_t kHugePage = 2ULL << 20;
constexpr int kHuge2MiB = 21 << 26;  // MAP_HUGE_2MB: the default size of huge pages may be another one

std::uint64_t round_up(std::uint64_t n, std::uint64_t to) noexcept { return (n + to - 1) / to * to; }

std::byte* align_huge(std::byte* p) noexcept {
  return p + (-reinterpret_cast<std::uintptr_t>(p) & (kHugePage - 1));
}

double gib(std::uint64_t bytes) noexcept {
  return static_cast<double>(bytes) / static_cast<double>(1ULL << 30);
}

std::string error_text(int error) { return std::generic_category().message(error); }

Status fail(Code code, int error, std::string* why, std::string text) {
  if (why != nullptr) *why = std::move(text);
  return {code, "mapping the arena", error};
}

// A run of `bytes` at a multiple of 2 MiB. Null: errno says why.
std::byte* map_aligned(std::uint64_t bytes, int protection, int flags) noexcept {
  void* raw = ::mmap(nullptr, bytes + kHugePage, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  if (raw == MAP_FAILED) return nullptr;
  auto* const begin = static_cast<std::byte*>(raw);
  std::byte* const base = align_huge(begin);
  const auto before = static_cast<std::uint64_t>(base - begin);
  if (before > 0) ::munmap(begin, before);
  if (before < kHugePage) ::munmap(base + bytes, kHugePage - before);
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

// Reserved huge pages for as much as they divide, small ones for the rest.
std::byte* map_hugetlb(std::uint64_t bytes) noexcept {
  const std::uint64_t huge = bytes / kHugePage * kHugePage;
  if (huge == 0) {
    errno = ENOMEM;
    return nullptr;
  }
  // Finds room and gives it up again: a MAP_FIXED that failed would leave a hole that is not ours to unmap.
  std::byte* const base = map_aligned(bytes, PROT_NONE, MAP_NORESERVE);
  if (base == nullptr) return nullptr;
  ::munmap(base, bytes);
  if (!map_at(base, huge, MAP_HUGETLB | kHuge2MiB)) return nullptr;
  if (huge == bytes || map_at(base + huge, bytes - huge, 0)) return base;
  ::munmap(base, huge);
  return nullptr;
}

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
    case PageKind::kHugetlb: return "hugetlb";
    case PageKind::kThp: return "thp";
    case PageKind::kSmall: return "4KiB";
  }
  return "unknown";
}

Result<Arena> Arena::map(const ArenaOptions& options, std::string* why) {
  if (options.bytes == 0) return fail(Code::kInvalid, 0, why, "an arena needs at least one byte");
  const MemoryLimit limit = memory_limit();
  if (options.bytes > limit.bytes) {
    return fail(
        Code::kFull, ENOMEM, why,
        fmt::format("{:.2f} GiB of memory asked for, but {} allows {:.2f} GiB: lower [[tier]].capacity",
                    gib(options.bytes), limit.source, gib(limit.bytes)));
  }
  Arena arena(nullptr, round_up(options.bytes, kSmallPage));
  if (const Status status = arena.take_pages(options.huge_pages, why); !status.ok()) return status;
  if (options.prefault) {
    if (const Status status = arena.prefault(why); !status.ok()) return status;
  }
  if (options.lock) {
    if (const Status status = arena.lock(why); !status.ok()) return status;
  }
  return arena;
}

Status Arena::take_pages(HugePages wanted, std::string* why) {
  if (wanted == HugePages::kAuto || wanted == HugePages::kHugetlb) {
    base_ = map_hugetlb(bytes_);
    pages_ = PageKind::kHugetlb;
    if (base_ != nullptr) return {};
    if (wanted == HugePages::kHugetlb) {
      const int error = errno;
      return fail(
          Code::kUnsupported, error, why,
          fmt::format(
              "no {} reserved huge pages of 2 MiB are free (or the arena is smaller than one): reserve "
              "them with `sysctl vm.nr_hugepages=N`, or set huge_pages = \"auto\"",
              bytes_ / kHugePage));
    }
  }
  base_ = map_aligned(bytes_, PROT_READ | PROT_WRITE, 0);
  pages_ = PageKind::kSmall;
  if (base_ == nullptr) {
    const int error = errno;
    return fail(
        error == ENOMEM ? Code::kFull : Code::kIo, error, why,
        fmt::format(
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

Status Arena::prefault(std::string* why) const {
  const Status status = populate(base_, bytes_);
  if (status.ok() || why == nullptr) return status;
  *why = fmt::format(
      "{:.2f} GiB of memory were mapped, but its pages could not all be had ({}): lower "
      "[[tier]].capacity, or set prefault = false",
      gib(bytes_), error_text(status.native()));
  return status;
}

Status Arena::lock(std::string* why) const {
  if (::mlock(base_, bytes_) == 0) return {};
  const int error = errno;
  rlimit limit{};
  ::getrlimit(RLIMIT_MEMLOCK, &limit);
  const std::string allowed =
      limit.rlim_cur == RLIM_INFINITY ? std::string("unlimited") : fmt::format("{} bytes", limit.rlim_cur);
  return fail(
      Code::kFull, error, why,
      fmt::format(
          "{} bytes cannot be locked ({}): RLIMIT_MEMLOCK is {}; raise it (`ulimit -l`, LimitMEMLOCK= of "
          "the service), or set mlock = false",
          bytes_, error_text(error), allowed));
}

Arena::Arena(Arena&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)), bytes_(other.bytes_), pages_(other.pages_) {}

Arena& Arena::operator=(Arena&& other) noexcept {
  std::swap(base_, other.base_);
  std::swap(bytes_, other.bytes_);
  std::swap(pages_, other.pages_);
  return *this;
}

Arena::~Arena() {
  if (base_ != nullptr) ::munmap(base_, bytes_);
}

}  // namespace kelvin

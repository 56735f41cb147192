// See memkind_arena.h.
#include "tiers/host/memkind_arena.h"

#include <sys/mman.h>

#include "base/format_text.h"

#ifdef KELVIN_HAVE_MEMKIND
#include <memkind.h>

#include <array>
#endif

namespace kelvin {

#ifdef KELVIN_HAVE_MEMKIND

namespace {

constexpr std::size_t kHugePage = 2u << 20;

std::string error_text(int error) {
  std::array<char, MEMKIND_ERROR_MESSAGE_SIZE> text{};
  ::memkind_error_message(error, text.data(), text.size());
  return text.data();
}

void free_near(std::byte* base, std::uint64_t /*bytes*/, int /*fd*/) noexcept {
  ::memkind_free(MEMKIND_DAX_KMEM, base);
}
void free_all(std::byte* base, std::uint64_t /*bytes*/, int /*fd*/) noexcept {
  ::memkind_free(MEMKIND_DAX_KMEM_ALL, base);
}

}  // namespace

bool memkind_serves(std::string* why) {
  const int error = ::memkind_check_available(MEMKIND_DAX_KMEM);
  if (error == MEMKIND_SUCCESS) return true;
  *why = format_text(
      "memkind has no memory of kind MEMKIND_DAX_KMEM here ({}): make a DAX device a memory node "
      "(`daxctl reconfigure-device -m system-ram dax0.0`), name nodes in MEMKIND_DAX_KMEM_NODES, or "
      "set through = \"mbind\"",
      error_text(error));
  return false;
}

Result<Arena> map_memkind(std::uint64_t bytes, bool all, int node, std::string* why) {
  if (!memkind_serves(why)) return Status(Code::kUnsupported, "taking memory by memkind");
  const memkind_t kind = all ? MEMKIND_DAX_KMEM_ALL : MEMKIND_DAX_KMEM;
  void* base = nullptr;
  const int error = ::memkind_posix_memalign(kind, &base, kHugePage, bytes);
  if (error != 0 || base == nullptr) {
    *why = format_text("memkind has no {} bytes on its DAX nodes: lower [[tier]].capacity", bytes);
    return Status(Code::kFull, "taking memory by memkind", error);
  }
  const bool thp = ::madvise(base, bytes, MADV_HUGEPAGE) == 0;
  return Arena::take_over(static_cast<std::byte*>(base), bytes, thp ? PageKind::kThp : PageKind::kSmall, node,
                          all ? free_all : free_near);
}

#else

bool memkind_serves(std::string* why) {
  *why = "this build has no memkind: set through = \"mbind\", or build with libmemkind-dev installed";
  return false;
}

Result<Arena> map_memkind(std::uint64_t /*bytes*/, bool /*all*/, int /*node*/, std::string* why) {
  memkind_serves(why);
  return Status(Code::kUnsupported, "taking memory by memkind");
}

#endif

}  // namespace kelvin

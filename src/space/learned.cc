// What a policy has learned, in a file: see core.h.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <new>
#include <system_error>

#include "base/fd.h"
#include "space/core.h"

namespace kelvin {
namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 30;

Status fail(Status status, const std::string& path, const std::string& what, std::string* why) {
  if (why != nullptr) {
    *why = path + ": " + what;
    if (status.native() != 0) *why += ": " + std::generic_category().message(status.native());
  }
  return status;
}

Status read_file(const std::string& path, std::vector<std::byte>& bytes, std::string* why) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) {
    const Code code = errno == ENOENT ? Code::kNotFound : Code::kIo;
    return fail(Status(code, "loading what a policy has learned", errno), path, "cannot be read", why);
  }
  std::array<std::byte, 1 << 16> piece;
  for (;;) {
    const ssize_t got = ::read(file.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return fail(Status(Code::kIo, "loading what a policy has learned", errno), path, "cannot be read", why);
    }
    if (got == 0) return Status();
    bytes.insert(bytes.end(), piece.begin(), piece.begin() + got);
    if (bytes.size() > kMostBytes) {
      return fail(Status(Code::kCorrupt, "loading what a policy has learned"), path, "is far too large", why);
    }
  }
}

bool write_all(int file, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(file, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
  return ::fsync(file) == 0;
}

// A new file takes the old one's place when it is whole.
Status write_file(const std::string& path, std::span<const std::byte> bytes, std::string* why) {
  const std::string fresh = path + ".new";
  const Fd file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (file.get() >= 0 && write_all(file.get(), bytes) && ::rename(fresh.c_str(), path.c_str()) == 0)
    return Status();
  const Status status(Code::kIo, "saving what a policy has learned", errno);
  if (file.get() >= 0) ::unlink(fresh.c_str());
  return fail(status, path, "cannot be written", why);
}

}  // namespace

Status Core::save_learned(const std::string& path, std::string* why) try {
  std::vector<std::byte> bytes;
  planner_->save_learned(bytes);
  if (bytes.empty()) {
    return fail(Status(Code::kUnsupported, "saving what a policy has learned"), path,
                "not written: the policy learns nothing", why);
  }
  return write_file(path, bytes, why);
} catch (const std::bad_alloc&) {
  return Status(Code::kFull, "saving what a policy has learned: no memory");
}

Status Core::load_learned(const std::string& path, std::string* why) try {
  std::vector<std::byte> bytes;
  if (Status status = read_file(path, bytes, why); !status.ok()) return status;
  const Status status = planner_->load_learned(bytes);
  return status.ok() ? status : fail(status, path, status.message(), why);
} catch (const std::bad_alloc&) {
  return Status(Code::kFull, "loading what a policy has learned: no memory");
}

// A space serves as well without: a bad file costs what it taught, no more.
void Core::begin_learned(const std::string& path) {
  if (path == "none") return;
  learned_path_ = path;
  std::string why;
  learned_ = load_learned(path, &why).ok() ? "loaded" : "fresh: " + why;
}

// Nobody is left to hear of a failure; who must know calls save_learned before.
void Core::end_learned() noexcept {
  if (!learned_path_.empty()) static_cast<void>(save_learned(learned_path_, nullptr));
}

}  // namespace kelvin

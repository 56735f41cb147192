// See byte_source.h.
#include "cli/byte_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace kelvin::cli {
namespace {

constexpr std::size_t kChunkBytes = std::size_t{64} << 10;
constexpr std::array<unsigned char, 4> kZstdMagic = {0x28, 0xB5, 0x2F, 0xFD};
constexpr int kMaxWindowLog = 27;

std::string system_message(int error) { return std::error_code(error, std::generic_category()).message(); }

}  // namespace

void ByteSource::FreeDecoder::operator()(ZSTD_DCtx_s* decoder) const noexcept { ZSTD_freeDCtx(decoder); }

Result<std::unique_ptr<ByteSource>> ByteSource::open(const std::string& path, std::string* why) {
  if (path == "-") return std::unique_ptr<ByteSource>(new ByteSource(STDIN_FILENO, false, 0));
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    const int error = errno;
    *why = path + ": cannot be opened: " + system_message(error);
    return Status(error == ENOENT ? Code::kNotFound : Code::kIo, "opening a trace", error);
  }
  struct stat info {};
  const bool known = ::fstat(fd, &info) == 0;
  if (known && S_ISDIR(info.st_mode)) {
    ::close(fd);
    *why = path + ": is a directory; name a trace file in it";
    return Status(Code::kInvalid, "opening a trace", EISDIR);
  }
  const std::uint64_t total = known && S_ISREG(info.st_mode) ? static_cast<std::uint64_t>(info.st_size) : 0;
  return std::unique_ptr<ByteSource>(new ByteSource(fd, true, total));
}

std::unique_ptr<ByteSource> ByteSource::from_memory(std::span<const char> bytes) {
  std::unique_ptr<ByteSource> source(new ByteSource(-1, false, bytes.size()));
  source->unread_ = bytes;
  source->fetched_ = bytes.size();
  source->ended_ = true;
  return source;
}

ByteSource::~ByteSource() {
  if (owned_) ::close(fd_);
}

std::uint64_t ByteSource::consumed() const noexcept { return fetched_ - unread_.size(); }

// Appends one chunk to what is unread.
Status ByteSource::refill(std::string* why) {
  const std::size_t kept = unread_.size();
  if (chunk_.empty()) chunk_.resize(kChunkBytes);
  assert(kept < chunk_.size());
  if (kept != 0) std::memmove(chunk_.data(), unread_.data(), kept);
  ssize_t got = 0;
  do {
    got = ::read(fd_, chunk_.data() + kept, chunk_.size() - kept);
  } while (got < 0 && errno == EINTR);
  if (got < 0) {
    const int error = errno;
    unread_ = std::span<const char>(chunk_.data(), kept);
    *why = "cannot be read: " + system_message(error);
    return {Code::kIo, "reading a trace", error};
  }
  ended_ = got == 0;
  fetched_ += static_cast<std::uint64_t>(got);
  unread_ = std::span<const char>(chunk_.data(), kept + static_cast<std::size_t>(got));
  return {};
}

Status ByteSource::look_at_magic(std::string* why) {
  while (!ended_ && unread_.size() < kZstdMagic.size()) {
    if (Status status = refill(why); !status.ok()) return status;
  }
  looked_ = true;
  if (unread_.size() < kZstdMagic.size() ||
      std::memcmp(unread_.data(), kZstdMagic.data(), kZstdMagic.size()) != 0) {
    return {};
  }
  decoder_.reset(ZSTD_createDCtx());
  if (!decoder_ ||
      ZSTD_isError(ZSTD_DCtx_setParameter(decoder_.get(), ZSTD_d_windowLogMax, kMaxWindowLog)) != 0) {
    *why = "no memory for the zstd decoder";
    return {Code::kFull, "starting the zstd decoder"};
  }
  return {};
}

Result<std::size_t> ByteSource::read(std::span<char> out, std::string* why) {
  assert(!out.empty());
  if (!looked_) {
    if (Status status = look_at_magic(why); !status.ok()) return status;
  }
  return decoder_ ? read_zstd(out, why) : read_plain(out, why);
}

Result<std::size_t> ByteSource::read_plain(std::span<char> out, std::string* why) {
  if (unread_.empty() && !ended_) {
    if (Status status = refill(why); !status.ok()) return status;
  }
  const std::size_t n = std::min(out.size(), unread_.size());
  std::copy_n(unread_.begin(), n, out.begin());
  unread_ = unread_.subspan(n);
  return n;
}

Result<std::size_t> ByteSource::read_zstd(std::span<char> out, std::string* why) {
  ZSTD_outBuffer to{out.data(), out.size(), 0};
  for (;;) {
    ZSTD_inBuffer from{unread_.data(), unread_.size(), 0};
    // Even with nothing unread: the decoder may still hold output.
    const std::size_t hint = ZSTD_decompressStream(decoder_.get(), &to, &from);
    unread_ = unread_.subspan(from.pos);
    if (ZSTD_isError(hint) != 0) {
      *why = std::string("is not sound zstd: ") + ZSTD_getErrorName(hint) +
             " (windows above 128 MiB, made by zstd --long, are not read)";
      return Status(Code::kCorrupt, "decompressing a trace");
    }
    if (from.pos > 0 || to.pos > 0) in_frame_ = hint != 0;
    if (to.pos > 0) return to.pos;
    if (!unread_.empty()) continue;
    if (ended_) break;
    if (Status status = refill(why); !status.ok()) return status;
  }
  if (in_frame_) {
    *why = "ends inside a zstd frame: the file is cut short; fetch it again";
    return Status(Code::kCorrupt, "decompressing a trace");
  }
  return std::size_t{0};
}

}  // namespace kelvin::cli

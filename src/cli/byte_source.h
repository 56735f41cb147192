// The bytes of a trace, wherever they are: a file, standard input or memory; plain or zstd, told apart by
// the first four bytes, never by the name.
//
// Thread contract: one thread at a time.
// Invariants:
//   1. Memory is bounded: one input chunk and zstd's window (at most 128 MiB) whatever the file holds.
//   2. A compressed stream that ends inside a frame is an error, never a shorter stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kelvin/status.h"

struct ZSTD_DCtx_s;

namespace kelvin::cli {

class ByteSource {
 public:
  // Opens `path`; "-" is standard input. On failure `why` (never null) says what is wrong.
  static Result<std::unique_ptr<ByteSource>> open(const std::string& path, std::string* why);

  // Reads from `bytes`, which must outlive the source.
  static std::unique_ptr<ByteSource> from_memory(std::span<const char> bytes);

  ~ByteSource();
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;

  // Writes up to out.size() decompressed bytes; 0 = the end. kIo, kCorrupt: `why` (never null) says what.
  // Precondition: `out` is not empty.
  Result<std::size_t> read(std::span<char> out, std::string* why);

  std::uint64_t consumed() const noexcept;                        // stored bytes that were used up
  std::uint64_t stored_bytes() const noexcept { return total_; }  // 0: not known (a pipe)

 private:
  struct FreeDecoder {
    void operator()(ZSTD_DCtx_s* decoder) const noexcept;
  };

  ByteSource(int fd, bool owned, std::uint64_t total) noexcept : fd_(fd), owned_(owned), total_(total) {}
  Status refill(std::string* why);
  Status look_at_magic(std::string* why);
  Result<std::size_t> read_plain(std::span<char> out, std::string* why);
  Result<std::size_t> read_zstd(std::span<char> out, std::string* why);

  // Constant after open.
  const int fd_;  // -1: memory
  const bool owned_;
  const std::uint64_t total_;

  // Owner thread only.
  std::vector<char> chunk_;
  std::span<const char> unread_;  // of chunk_, or of the caller's memory
  std::uint64_t fetched_ = 0;
  bool looked_ = false;
  bool ended_ = false;                                 // nothing more to fetch
  bool in_frame_ = false;                              // between the first and the last byte of a zstd frame
  std::unique_ptr<ZSTD_DCtx_s, FreeDecoder> decoder_;  // null: plain
};

}  // namespace kelvin::cli

// FileReads: reads from one file into device memory, several at once: threads in cuFileRead, the call that
// every version and every file system has.
//
// Whoever submits never waits for the library, so that one that hangs is a missed deadline and nothing more.
//
// Thread contract: submit, reap and cancel: one thread at a time; the workers share what mu_ guards.
// Invariants:
//   1. Every read that is submitted comes back from reap exactly once.
//   2. After open nothing allocates.
//   3. After the destructor nobody writes to a target any more.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/fifo.h"
#include "base/thread_annotations.h"
#include "tiers/hbm/device.h"
#include "tiers/hbm/gds/cufile.h"

namespace kelvin::hbm {

inline constexpr std::uint64_t kPageBytes = 4096;  // unit of direct I/O

struct FileRead {
  std::uint32_t tag = 0;
  std::uint64_t offset = 0;  // in the file
  std::uint64_t bytes = 0;   // like `offset`, whole pages
  ReadTarget to;
};

struct FileReadEnd {
  std::uint32_t tag = 0;
  Status status;  // ok: all bytes are there. kCanceled: it was not begun
};

class FileReads {
 public:
  // `library` and `device` outlive it; `file` is acquired as long. At most `capacity` reads at a time. On
  // failure `why` (never null) says what to do. May throw std::bad_alloc.
  static Result<std::unique_ptr<FileReads>> open(const CuFile& library, Device& device, cufile::Handle file,
                                                 std::uint32_t capacity, std::string* why);
  ~FileReads();
  FileReads(const FileReads&) = delete;
  FileReads& operator=(const FileReads&) = delete;

  // Precondition: there is room for them.
  void submit(std::span<const FileRead> reads) noexcept;
  std::size_t reap(std::span<FileReadEnd> ends) noexcept;
  // Ends what was not begun.
  void cancel() noexcept;

 private:
  // So many blocks of some 100 KiB keep a drive of a PCIe 4.0 or 5.0 slot busy.
  static constexpr std::uint32_t kThreads = 8;
  static constexpr std::uint32_t kMaxRetries = 64;

  FileReads(const CuFile& library, Device& device, cufile::Handle file, std::uint32_t capacity)
      : library_(library), device_(device), file_(file), waiting_(capacity), ended_(capacity) {}

  Status start(std::uint32_t threads, std::string* why);
  void run() noexcept;
  Status perform(FileRead read) const noexcept;

  // Constant after open.
  const CuFile& library_;
  Device& device_;
  const cufile::Handle file_;

  Mutex mu_;
  std::condition_variable_any work_;
  Fifo<FileRead> waiting_ KELVIN_GUARDED_BY(mu_);
  Fifo<FileReadEnd> ended_ KELVIN_GUARDED_BY(mu_);
  bool stopping_ KELVIN_GUARDED_BY(mu_) = false;

  std::vector<std::thread> workers_;  // end first
};

}  // namespace kelvin::hbm

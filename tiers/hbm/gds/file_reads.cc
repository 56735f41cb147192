// See file_reads.h.
#include "tiers/hbm/gds/file_reads.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "base/signals_blocked.h"

namespace kelvin::hbm {
Result<std::unique_ptr<FileReads>> FileReads::open(const CuFile& library, Device& device, cufile::Handle file,
                                                   std::uint32_t capacity, std::string* why) {
  std::unique_ptr<FileReads> reads(new FileReads(library, device, file, capacity));
  if (const Status s = reads->start(std::min(kThreads, capacity), why); !s.ok()) return s;
  return reads;
}

Status FileReads::start(std::uint32_t threads, std::string* why) {
  const SignalsBlocked blocked;
  workers_.reserve(threads);
  int failed = 0;
  while (workers_.size() < threads && failed == 0) {
    try {
      workers_.emplace_back([this] { run(); });
    } catch (const std::system_error& error) {
      failed = error.code().value();
    }
  }
  if (!workers_.empty()) return {};  // fewer are slower
  *why = "no thread can be started (errno " + std::to_string(failed) +
         "): raise the limit of processes (ulimit -u)";
  return {Code::kUnavailable, "starting threads for GPUDirect Storage", failed};
}

FileReads::~FileReads() {
  {
    const MutexLock lock(mu_);
    waiting_.clear();
    stopping_ = true;
  }
  work_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void FileReads::submit(std::span<const FileRead> reads) noexcept {
  {
    const MutexLock lock(mu_);
    for (const FileRead& read : reads) waiting_.push(read);
  }
  for (std::size_t i = 0; i < std::min(reads.size(), workers_.size()); ++i) work_.notify_one();
}

std::size_t FileReads::reap(std::span<FileReadEnd> ends) noexcept {
  const MutexLock lock(mu_);
  const std::size_t n = std::min(ends.size(), ended_.size());
  for (FileReadEnd& end : ends.first(n)) end = ended_.pop();
  return n;
}

void FileReads::cancel() noexcept {
  const MutexLock lock(mu_);
  while (!waiting_.empty()) {
    ended_.push({waiting_.pop().tag, Status(Code::kCanceled, "reading a block by GPUDirect Storage")});
  }
}

void FileReads::run() noexcept {
  const Status entered = device_.enter_thread();
  for (;;) {
    FileRead read;
    {
      const MutexLock lock(mu_);
      while (waiting_.empty() && !stopping_) work_.wait(mu_);
      if (waiting_.empty()) return;
      read = waiting_.pop();
    }
    const FileReadEnd end{read.tag, entered.ok() ? perform(read) : entered};
    const MutexLock lock(mu_);
    ended_.push(end);
  }
}

Status FileReads::perform(FileRead read) const noexcept {
  for (std::uint32_t retries = 0; read.bytes > 0;) {
    const auto got = library_.read(file_, read.offset, read.bytes, read.to);
    if (got.status().code() == Code::kBusy) {
      if (++retries > kMaxRetries) return {Code::kIo, got.status().context(), got.status().native()};
      continue;
    }
    if (!got.ok()) return got.status();
    // A short read that ends inside a page goes on at the page's start, as direct I/O asks.
    const std::uint64_t moved = std::min(*got, read.bytes) / kPageBytes * kPageBytes;
    if (moved == 0)
      return {Code::kIo, "reading a block by GPUDirect Storage: the file ends before the block"};
    read.offset += moved;
    read.to.at += moved;
    read.bytes -= moved;
  }
  return {};
}

}  // namespace kelvin::hbm

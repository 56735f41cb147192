// RamDrive: a Medium in memory with a volatile write cache, faults on command, and a plug to be pulled.
//
// What was written is read back at once, as from a drive; after power_cut() only what was flushed is sure to
// be there: of all later writes each sector is there or not, in any version, whatever the order of the writes
// was. Requests of its queues end in random order.
//
// Thread contract: one thread.
#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tiers/nvme/medium.h"

namespace kelvin::nvme {

// The bytes of a drive; what was never written is zero and takes no memory.
class DriveImage {
 public:
  static constexpr std::size_t kSector = 512;

  void get(std::uint64_t offset, std::span<std::byte> bytes) const {
    for (std::size_t at = 0; at < bytes.size(); at += kSector) {
      const auto found = sectors_.find((offset + at) / kSector);
      if (found == sectors_.end()) {
        std::memset(bytes.data() + at, 0, kSector);
      } else {
        std::memcpy(bytes.data() + at, found->second.data(), kSector);
      }
    }
  }
  void put(std::uint64_t offset, std::span<const std::byte> bytes) {
    for (std::size_t at = 0; at < bytes.size(); at += kSector) {
      std::memcpy(sectors_[(offset + at) / kSector].data(), bytes.data() + at, kSector);
    }
  }
  void flip(std::uint64_t bit) {
    sectors_[bit / 8 / kSector][bit / 8 % kSector] ^= static_cast<std::byte>(1u << bit % 8);
  }

 private:
  std::unordered_map<std::uint64_t, std::array<std::byte, kSector>> sectors_;
};

class RamDrive final : public Medium {
 public:
  // Asked for each request of a queue and each synchronous call: 0 for as usual, a negative errno, or the
  // number of bytes after which it ends short.
  using Fault = std::function<std::int32_t(bool write, std::uint64_t offset, std::uint64_t bytes)>;

  // `image`: what a drive has at the start, after a crash for example.
  RamDrive(std::uint64_t bytes, std::uint64_t seed, DriveImage image = {})
      : shown_(std::move(image)), stable_(shown_), random_(seed) {
    info_.path = "ram";
    info_.bytes = bytes;
    info_.direct = true;
    info_.discards = true;
  }

  Fault fault;

  // The power goes: what a drive has after it. `kept`: the chance of an unflushed sector to be there.
  DriveImage power_cut(double kept) {
    constexpr std::size_t kSector = DriveImage::kSector;
    for (const Write& write : unflushed_) {
      const std::span<const std::byte> bytes(write.bytes);
      for (std::size_t at = 0; at < bytes.size(); at += kSector) {
        if (chance(kept)) stable_.put(write.offset + at, bytes.subspan(at, kSector));
      }
    }
    unflushed_.clear();
    return stable_;
  }

  const MediumInfo& info() const noexcept override { return info_; }

  Status read(std::uint64_t offset, std::span<std::byte> bytes) noexcept override {
    if (const std::int32_t error = asked(false, offset, bytes.size()); error != 0) return failed(error);
    shown_.get(offset, bytes);
    return {};
  }
  Status write(std::uint64_t offset, std::span<const std::byte> bytes) noexcept override {
    if (const std::int32_t error = asked(true, offset, bytes.size()); error != 0) return failed(error);
    store(offset, bytes);
    return {};
  }
  Status flush() noexcept override {
    for (const Write& write : unflushed_) stable_.put(write.offset, write.bytes);
    unflushed_.clear();
    return {};
  }
  // Each sector keeps its bytes or turns to zeros, now or when the power goes.
  Status discard(std::span<const ByteRange> ranges) noexcept override {
    constexpr std::array<std::byte, DriveImage::kSector> kZeros{};
    for (const ByteRange& range : ranges) {
      if (const std::int32_t error = asked(true, range.offset, range.bytes); error != 0) return failed(error);
      for (std::uint64_t at = 0; at < range.bytes; at += kZeros.size()) {
        if (chance(0.7)) store(range.offset + at, kZeros);
      }
    }
    return {};
  }
  Result<std::unique_ptr<IoQueue>> open_queue(const QueueConfig& config, std::string* /*why*/) override {
    return std::unique_ptr<IoQueue>(std::make_unique<Queue>(*this, *config.wake));
  }

 private:
  struct Write {
    std::uint64_t offset;
    std::vector<std::byte> bytes;
  };

  class Queue final : public IoQueue {
   public:
    Queue(RamDrive& drive, const EventFd& wake) : drive_(drive), wake_(wake) {}

    std::size_t submit(std::span<const IoRequest> requests) noexcept override {
      waiting_.insert(waiting_.end(), requests.begin(), requests.end());
      wake_.signal();
      return requests.size();
    }
    std::size_t reap(std::span<IoResult> results) noexcept override {
      std::size_t n = 0;
      while (n < results.size() && !waiting_.empty()) {
        std::swap(waiting_[drive_.random_() % waiting_.size()], waiting_.back());
        results[n++] = {waiting_.back().tag, drive_.perform(waiting_.back())};
        waiting_.pop_back();
        if (drive_.chance(0.2)) break;  // the others take longer
      }
      if (!waiting_.empty()) wake_.signal();
      return n;
    }
    void cancel() noexcept override {}
    const char* description() const noexcept override { return "in memory"; }

   private:
    RamDrive& drive_;
    const EventFd& wake_;
    std::vector<IoRequest> waiting_;
  };

  bool chance(double p) { return std::uniform_real_distribution<>(0, 1)(random_) < p; }
  std::int32_t asked(bool write, std::uint64_t offset, std::uint64_t bytes) const {
    return fault ? fault(write, offset, bytes) : 0;
  }
  static Status failed(std::int32_t error) { return {Code::kIo, "the drive", error < 0 ? -error : EIO}; }
  void store(std::uint64_t offset, std::span<const std::byte> bytes) {
    shown_.put(offset, bytes);
    unflushed_.push_back({offset, {bytes.begin(), bytes.end()}});
  }
  std::int32_t perform(const IoRequest& request) {
    std::uint64_t bytes = 0;
    for (std::uint32_t v = 0; v < request.vector_count; ++v) bytes += request.vectors[v].iov_len;
    const std::int32_t answer = asked(request.write, request.offset, bytes);
    if (answer < 0) return answer;
    // A drive moves whole sectors, also where it ends short.
    const std::uint64_t most = static_cast<std::uint64_t>(answer) / DriveImage::kSector * DriveImage::kSector;
    std::uint64_t left = answer > 0 ? std::min(bytes, most) : bytes;
    const auto done = static_cast<std::int32_t>(left);
    std::uint64_t offset = request.offset;
    for (std::uint32_t v = 0; v < request.vector_count && left > 0; ++v) {
      const std::span<std::byte> memory(static_cast<std::byte*>(request.vectors[v].iov_base),
                                        std::min<std::uint64_t>(left, request.vectors[v].iov_len));
      if (request.write) {
        store(offset, memory);
      } else {
        shown_.get(offset, memory);
      }
      offset += memory.size();
      left -= memory.size();
    }
    return done;
  }

  DriveImage shown_;   // what is read
  DriveImage stable_;  // what is sure to survive
  std::vector<Write> unflushed_;
  std::mt19937_64 random_;
  MediumInfo info_;
};

}  // namespace kelvin::nvme

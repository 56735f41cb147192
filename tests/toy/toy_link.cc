// ToyLink: reads or writes blocks one after the other, inside poll().
//
// Thread contract: that of Link.
#include <unistd.h>

#include <array>
#include <cerrno>
#include <span>

#include "checksum/crc32c.h"
#include "tests/toy/toy.h"
#include "tests/toy/toy_tier.h"

namespace kelvin {
namespace {

class ToyLink final : public Link {
 public:
  ToyLink(const Tier& from, const Tier& to) {
    info_.name = from.info().name + ">" + to.info().name;
    info_.from = &from;
    info_.to = &to;
    info_.depth = static_cast<std::uint32_t>(waiting_.size());
    info_.latency_ns = 100'000;  // a guess is enough: the mover measures
    info_.bytes_per_second = 1'000'000'000;
  }

  const LinkInfo& info() const noexcept override { return info_; }

  std::size_t submit(std::span<const Copy> copies) noexcept override {
    std::size_t taken = 0;
    while (taken < copies.size() && tail_ - head_ < waiting_.size()) {
      waiting_[tail_++ % waiting_.size()] = copies[taken++];
    }
    return taken;
  }

  std::size_t poll(std::span<Completion> done) noexcept override {
    std::size_t count = 0;
    while (count < done.size() && head_ != tail_) {
      done[count++] = carry_out(waiting_[head_ % waiting_.size()], head_ < canceled_);
      ++head_;
    }
    return count;
  }

  void cancel_all() noexcept override { canceled_ = tail_; }

 private:
  Completion carry_out(const Copy& copy, bool canceled) const noexcept {
    Completion end{.tag = copy.tag, .status = {}};
    if (canceled) {
      end.status = Status(Code::kCanceled, "a toy copy");
      return end;
    }
    const bool reading = info_.from->info().space == AddressSpace::kFile;
    const Tier& host = reading ? *info_.to : *info_.from;
    const Address file = reading ? info_.from->address(copy.from, 0) : info_.to->address(copy.to, 0);
    const Slot slot = reading ? copy.to : copy.from;
    const std::uint64_t bytes = host.info().segment_bytes;
    for (std::uint32_t segment = 0; segment < host.info().segments && end.status.ok(); ++segment) {
      std::byte* memory = host.address(slot, segment).pointer;
      end.status = transfer(file.device, {memory, bytes}, file.offset + segment * bytes, reading);
      if (copy.checksum) end.checksum = crc32c(memory, bytes, end.checksum);
    }
    return end;
  }

  static Status transfer(int fd, std::span<std::byte> memory, std::uint64_t offset, bool reading) noexcept {
    while (!memory.empty()) {
      const auto at = static_cast<off_t>(offset);
      const ssize_t n = reading ? ::pread(fd, memory.data(), memory.size(), at)
                                : ::pwrite(fd, memory.data(), memory.size(), at);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return {Code::kIo, "a toy copy", n < 0 ? errno : 0};
      memory = memory.subspan(static_cast<std::size_t>(n));
      offset += static_cast<std::uint64_t>(n);
    }
    return {};
  }

  LinkInfo info_;
  std::array<Copy, 16> waiting_{};  // a ring: copies head_ .. tail_ - 1
  std::uint64_t head_ = 0;
  std::uint64_t tail_ = 0;
  std::uint64_t canceled_ = 0;  // copies below this were given up
};

bool is_toy(const Tier& tier) { return dynamic_cast<const ToyTier*>(&tier) != nullptr; }
bool is_host(const Tier& tier) { return tier.info().space == AddressSpace::kHost; }

Result<std::unique_ptr<Link>> connect(const LinkContext& context, std::string* /*why*/) {
  const bool joins =
      (is_toy(context.from) && is_host(context.to)) || (is_host(context.from) && is_toy(context.to));
  if (!joins) return std::unique_ptr<Link>();
  return std::unique_ptr<Link>(std::make_unique<ToyLink>(context.from, context.to));
}

}  // namespace

constinit const LinkFactory kToyLink = {.name = "toy", .connect = &connect};

}  // namespace kelvin

// Fuzz target: what lies on a medium may be anything. Whatever its superblocks and its slot table say,
// looking at it, opening it, recalling its blocks and checking them answers: with a correct listing, or with
// a Status and what to do. Nothing is written before it is opened for use.
//
// An input changes a small medium that holds blocks: a byte of ways (kMend..., and kFile, kSpace, kBoth or
// none), a byte that shortens it, and changes of { u8 region, u16 offset, u8 count, count bytes }.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "checksum/crc32c.h"
#include "kelvin/space.h"
#include "tiers/nvme/nvme.h"
#include "tiers/nvme/nvme_tier.h"
#include "tiers/nvme/volume.h"

namespace kelvin::nvme {
namespace {

constexpr std::uint32_t kSlots = 70;  // more than a page of records
constexpr std::uint32_t kUsed = 12;
constexpr std::uint64_t kBlockBytes = 4096;
constexpr Geometry kGeometry{kBlockBytes, kSlots, false};

// The first byte of an input.
constexpr std::uint8_t kMendFirst = 1;    // the checksum of the first superblock becomes right
constexpr std::uint8_t kMendSecond = 2;   // that of the second
constexpr std::uint8_t kMendRecords = 4;  // those of all records that are not empty
// The five bits above. They take many times longer than what is done in memory: few values mean them.
constexpr std::uint8_t kFile = 8;    // it is looked at and checked as a file, too
constexpr std::uint8_t kSpace = 16;  // a space is opened on it, too
constexpr std::uint8_t kBoth = kFile | kSpace;

void require(bool holds, const char* what, const std::string& detail = "") {
  if (holds) return;
  std::fprintf(stderr, "volume_fuzz: %s\n%s\n", what, detail.c_str());
  std::abort();
}

// Every refusal names the medium, and something that a person can do.
void require_advice(const Status& status, const std::string& why) {
  constexpr std::array kAdvice = {"format",  "set ",   "choose", "begin anew",
                                  "replace", "remove", "name ",  "holds nothing yet"};
  require(!why.empty(), "a failure without a reason", status.message());
  const bool told =
      std::ranges::any_of(kAdvice, [&](const char* word) { return why.find(word) != std::string::npos; });
  require(told, "a failure that does not say what to do", why);
}

VolumeConfig config() {
  VolumeConfig config;
  config.block_tokens = 64;
  config.layout = make_layout("fuzz", kBlockBytes, config.block_tokens);
  config.model = "fuzz";
  config.geometry = kGeometry;
  return config;
}

BlockKey key_of(std::uint32_t block) { return {0x1234'5678'0000'0000ULL + block, 7}; }

// Bytes in memory. What lies behind the end cannot be read or written, as with a device.
class ByteMedium final : public Medium {
 public:
  explicit ByteMedium(std::vector<std::byte>& bytes, bool read_only = false)
      : bytes_(bytes), read_only_(read_only) {
    info_.path = "medium";
    info_.bytes = bytes.size();
    info_.direct = true;
  }

  const MediumInfo& info() const noexcept override { return info_; }
  Status read(std::uint64_t offset, std::span<std::byte> to) noexcept override {
    if (!within(offset, to.size())) return {Code::kIo, "reading behind the end", EIO};
    std::memcpy(to.data(), bytes_.data() + offset, to.size());
    return {};
  }
  Status write(std::uint64_t offset, std::span<const std::byte> from) noexcept override {
    require(!read_only_, "a medium is written before it is opened for use");
    if (!within(offset, from.size())) return {Code::kIo, "writing behind the end", EIO};
    std::memcpy(bytes_.data() + offset, from.data(), from.size());
    return {};
  }
  Status flush() noexcept override { return {}; }
  Result<std::unique_ptr<IoQueue>> open_queue(const QueueConfig& config, std::string* /*why*/) override {
    return std::unique_ptr<IoQueue>(std::make_unique<Queue>(*this, *config.wake));
  }

 private:
  class Queue final : public IoQueue {
   public:
    Queue(ByteMedium& medium, const EventFd& wake) : medium_(medium), wake_(wake) {}
    std::size_t submit(std::span<const IoRequest> requests) noexcept override {
      waiting_.insert(waiting_.end(), requests.begin(), requests.end());
      wake_.signal();
      return requests.size();
    }
    std::size_t reap(std::span<IoResult> results) noexcept override {
      const std::size_t n = std::min(results.size(), waiting_.size());
      for (std::size_t i = 0; i < n; ++i) {
        const iovec& vector = *waiting_[i].vectors;
        const Status s =
            medium_.read(waiting_[i].offset, {static_cast<std::byte*>(vector.iov_base), vector.iov_len});
        results[i] = {waiting_[i].tag, s.ok() ? static_cast<std::int32_t>(vector.iov_len) : -EIO};
      }
      waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(n));
      return n;
    }
    void cancel() noexcept override {}
    const char* description() const noexcept override { return "in memory"; }

   private:
    ByteMedium& medium_;
    const EventFd& wake_;
    std::vector<IoRequest> waiting_;
  };

  bool within(std::uint64_t offset, std::uint64_t count) const {
    require(offset % kPageBytes == 0 && count % kPageBytes == 0, "I/O that is not in whole pages");
    return offset <= bytes_.size() && count <= bytes_.size() - offset;
  }

  std::vector<std::byte>& bytes_;
  const bool read_only_;
  MediumInfo info_;
};

// A medium in good order, with a chain of blocks.
std::vector<std::byte> good_medium() {
  std::vector<std::byte> bytes(kGeometry.bytes());
  std::string why;
  auto volume = Volume::open(std::make_unique<ByteMedium>(bytes), config(), Content::kNothing, &why);
  require(volume.ok(), "a blank medium cannot be formatted", why);
  for (std::uint32_t block = 0; block < kUsed; ++block) {
    const std::uint32_t slot = block * 6;  // on both pages of records
    const std::span<std::byte> payload(bytes.data() + kGeometry.offset(slot), kBlockBytes);
    std::ranges::fill(payload, static_cast<std::byte>(block + 1));
    Copy copy;
    copy.key = key_of(block);
    copy.has_parent = block != 0;
    if (copy.has_parent) copy.parent = key_of(block - 1);
    copy.depth = block;
    (*volume)->table()->put(slot, copy, crc32c(payload.data(), payload.size()));
  }
  require((*volume)->close().ok(), "a medium cannot be closed");
  return bytes;
}

template <class T>
T get(const std::vector<std::byte>& bytes, std::uint64_t offset) {
  T value;
  std::memcpy(static_cast<void*>(&value), bytes.data() + offset, sizeof value);
  return value;
}
template <class T>
void put(std::vector<std::byte>& bytes, std::uint64_t offset, const T& value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}

void mend(std::vector<std::byte>& bytes, std::uint8_t ways) {
  for (const std::size_t i : {0U, 1U}) {
    if ((ways & (i == 0 ? kMendFirst : kMendSecond)) == 0) continue;
    auto page = get<Superblock>(bytes, kSuperblockAt[i]);
    page.checksum = superblock_checksum(page);
    put(bytes, kSuperblockAt[i], page);
  }
  if ((ways & kMendRecords) == 0) return;
  const auto uuid = get<Superblock>(bytes, 0).uuid;
  for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
    const std::uint64_t at = kTableOffset + slot * sizeof(Record);
    auto record = get<Record>(bytes, at);
    if (record.empty()) continue;
    record.checksum = record_checksum(record, slot, uuid);
    put(bytes, at, record);
  }
}

// The medium that an input describes, until the next is asked for; `ways`: its first byte.
std::vector<std::byte>& medium_of(std::span<const std::uint8_t> input, std::uint8_t* ways) {
  static const std::vector<std::byte> kGood = good_medium();
  const std::array kRegions = {kSuperblockAt[0], kSuperblockAt[1], kTableOffset, kGeometry.data_offset()};
  static std::vector<std::byte> bytes;  // once: making room for it takes longer than all else
  bytes = kGood;
  *ways = input.empty() ? std::uint8_t{0} : input[0];
  const std::uint64_t cut = input.size() > 1 ? input[1] : 0;
  for (std::size_t at = 2; at + 4 <= input.size();) {
    const std::uint64_t offset =
        kRegions[input[at] % kRegions.size()] + (input[at + 1] + 256ULL * input[at + 2]) % (4 * kPageBytes);
    const std::size_t count = std::min<std::size_t>(input[at + 3], input.size() - at - 4);
    std::memcpy(bytes.data() + offset, input.data() + at + 4, count);
    at += 4 + count;
  }
  mend(bytes, *ways);
  bytes.erase(bytes.end() - static_cast<std::ptrdiff_t>(cut * bytes.size() / 256), bytes.end());
  return bytes;
}

// What is listed is what the medium says, slot by slot.
void require_listing(const NvmeTier& tier) {
  const SlotTable& table = *tier.volume(0).table();
  std::uint32_t listed = 0;
  std::array<Remembered, 16> batch;
  for (std::uint32_t next = 0; next < tier.info().slots;) {
    const std::uint32_t before = next;
    const std::size_t n = tier.info().ledger->recall(next, batch);
    require(next > before && next <= tier.info().slots && n <= batch.size(), "recall does not go on");
    for (const Remembered& entry : std::span(batch).first(n)) {
      Record record;
      require(entry.slot.value >= before && entry.slot.value < next, "recall names another slot");
      require(table.get(entry.slot.value, &record), "recall names an empty slot");
      const Uuid& uuid = tier.volume(0).superblock().uuid;
      require(record.checksum == record_checksum(record, entry.slot.value, uuid), "a record does not verify");
      require(entry.key == record.key && entry.depth <= 0xFFFF, "recall tells another block");
      ++listed;
    }
  }
  require(listed == tier.volume(0).found().used, "recall lists more or fewer blocks than were found");
}

// As tools see it. Returns how many blocks are there, or nothing.
std::int64_t inspect(std::vector<std::byte>& bytes) {
  std::string why;
  auto volume = Volume::inspect(std::make_unique<ByteMedium>(bytes, true), &why);
  if (!volume.ok()) {
    require_advice(volume.status(), why);
    return -1;
  }
  const SlotTable::Found found = (*volume)->found();
  require(found.used + found.damaged <= (*volume)->geometry().slots, "more blocks than slots");
  if ((*volume)->table() == nullptr) return 0;
  require((*volume)->geometry().data_offset() <= bytes.size(), "a slot table behind the medium's end");
  std::vector<std::unique_ptr<Volume>> volumes;
  volumes.push_back(std::move(volume).value());
  require_listing(NvmeTier("nvme", std::move(volumes), LinkSettings{}));
  return found.used;
}

// As a tier uses it: opened, and closed in order.
void use(std::vector<std::byte>& bytes) {
  std::string why;
  auto medium = std::make_unique<ByteMedium>(bytes);
  const auto content = examine(*medium, config(), &why);
  if (!content.ok()) return require_advice(content.status(), why);
  if (!medium->reserve(kGeometry.bytes(), false, &why).ok()) return require(!why.empty(), "no reason");
  std::uint32_t used = 0;
  {
    const auto volume = Volume::open(std::move(medium), config(), *content, &why);
    if (!volume.ok()) return require_advice(volume.status(), why);
    used = (*volume)->found().used;
    require(*content == Content::kBlocks || used == 0, "blocks on a medium that held none");
  }
  require(inspect(bytes) == used, "what was open and closed holds other blocks than before");
}

class File {
 public:
  explicit File(const std::vector<std::byte>& bytes) : fd_(::memfd_create("volume", MFD_CLOEXEC)) {
    const ssize_t written = ::write(fd_.get(), bytes.data(), bytes.size());
    require(written == static_cast<ssize_t>(bytes.size()), "no file in memory is to be had");
  }
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_.get()); }

 private:
  Fd fd_;
};

void check_file(const std::vector<std::byte>& bytes) {
  const File file(bytes);
  std::string why;
  CheckRequest request;
  request.path = file.path();
  VolumeReport first;
  if (const Status s = kNvmeUpkeep.check(request, &first, &why); !s.ok()) {
    require_advice(s, why);
    VolumeReport seen;
    require(!kNvmeUpkeep.inspect(file.path(), &seen, &why).ok(), "what cannot be checked can be inspected");
    return;
  }
  require(first.checked == (first.scratch ? 0 : first.used), "blocks are left out");
  require(first.forgotten == first.wrong + first.unreadable, "what is wrong stays");
  if (first.forgotten == 0) return;
  VolumeReport again;
  require(kNvmeUpkeep.check(request, &again, &why).ok(), "what was mended cannot be checked", why);
  require(again.used == first.used - first.forgotten && again.wrong + again.unreadable == 0,
          "what was mended is wrong still");
}

void open_space(const std::vector<std::byte>& bytes) {
  const File file(bytes);
  Config config;
  config.space.block_bytes = kBlockBytes;
  config.space.block_tokens = 64;
  config.space.model = "fuzz";
  config.mover.threads = 0;
  config.tiers.resize(2);
  config.tiers[0].name = config.tiers[0].kind = "dram";
  config.tiers[0].capacity_bytes = 16 * kBlockBytes;
  config.tiers[0].options = {{"prefault", "false"}};
  config.tiers[1].name = config.tiers[1].kind = "nvme";
  config.tiers[1].capacity_bytes = kGeometry.bytes();
  config.tiers[1].options = {{"path", file.path()}, {"direct", "auto"}, {"io", "threads"}};
  std::string why;
  const auto space = Space::open(config, &why);
  if (!space.ok()) return require_advice(space.status(), why);
  const TierStats before = (*space)->stats().tiers[1];
  require(before.recovered == before.resident && before.resident + before.free == before.slots,
          "slots are lost");
  std::array<BlockKey, kUsed> chain;
  for (std::uint32_t block = 0; block < kUsed; ++block) chain[block] = key_of(block);
  const std::uint32_t known = (*space)->match(chain).blocks;
  auto ticket = (*space)->acquire(chain, TierIndex(0));
  require(ticket.ok(), "blocks cannot be asked for");
  require(ticket->wait(std::chrono::seconds(10)).code() != Code::kTimeout, "blocks are not answered");
  require(ticket->take().size() <= known, "more blocks than are known");
}

}  // namespace
}  // namespace kelvin::nvme

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kelvin::nvme;
  std::uint8_t ways = 0;
  std::vector<std::byte>& bytes = medium_of({data, size}, &ways);
  const auto slow = static_cast<std::uint8_t>(ways & ~(kMendFirst | kMendSecond | kMendRecords));
  if (slow == kFile || slow == kBoth) check_file(bytes);
  if (slow == kSpace || slow == kBoth) open_space(bytes);
  inspect(bytes);
  use(bytes);
  return 0;
}

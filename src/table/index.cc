// See index.h.
#include "table/index.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <utility>

namespace kelvin {
namespace {

constexpr double kLoad = 0.7;
constexpr std::uint32_t kEntriesPerShard = 1u << 14;  // large enough that shards fill evenly
constexpr std::uint64_t kMaxShards = 256;
constexpr std::size_t kBatch = 32;  // deeper gains nothing: about as many misses as a core keeps in flight

// Bucket::kEntries if there is none.
unsigned empty_entry(const Bucket& bucket) noexcept {
  for (unsigned mask = bucket.candidates(0); mask != 0; mask &= mask - 1) {
    const auto entry = static_cast<unsigned>(std::countr_zero(mask));
    if (bucket.tag(entry) == 0) return entry;
  }
  return Bucket::kEntries;
}

}  // namespace

Result<Index> Index::make(std::uint32_t capacity, std::uint64_t seed,
                          const HugeArray<BlockRecord>* records) noexcept {
  const std::uint64_t shards =
      std::bit_floor(std::clamp<std::uint64_t>(capacity / kEntriesPerShard, 1, kMaxShards));
  const double per_shard =
      static_cast<double>(capacity) / static_cast<double>(shards) / (Bucket::kEntries * kLoad);
  Index index;
  // Never fewer buckets than hold every entry of the fullest shard, however small the table.
  index.per_shard_ = static_cast<std::uint64_t>(per_shard) + 8;
  auto buckets = HugeArray<Bucket>::make(shards * index.per_shard_);
  if (!buckets.ok()) return buckets.status();
  auto locks = HugeArray<Shard>::make(shards);
  if (!locks.ok()) return locks.status();
  index.buckets_ = std::move(buckets).value();
  index.shards_ = std::move(locks).value();
  index.records_ = records;
  index.seed_ = seed;
  return index;
}

BlockId Index::find_from(std::uint64_t bucket, std::uint16_t tag, const BlockKey& key) const noexcept {
  for (std::uint64_t probes = 0; probes < per_shard_; ++probes) {
    const Bucket& b = buckets_[bucket];
    for (unsigned mask = b.candidates(tag); mask != 0; mask &= mask - 1) {
      const std::uint32_t id = b.id(static_cast<unsigned>(std::countr_zero(mask)));
      if (id < records_->size() && (*records_)[id].holds(key)) return BlockId(id);
    }
    if (b.overflow() == 0) break;
    bucket = next_in_shard(bucket);
  }
  return BlockId{};
}

// The first entry of the bucket with this tag: in all but one look-up of ten thousand the right one, if its
// key is in this bucket at all.
BlockId Index::likely_id(const Bucket& bucket, std::uint16_t tag) const noexcept {
  const unsigned mask = bucket.candidates(tag);
  if (mask == 0) return BlockId{};
  const std::uint32_t id = bucket.id(static_cast<unsigned>(std::countr_zero(mask)));
  return id < records_->size() ? BlockId(id) : BlockId{};
}

BlockId Index::find(const BlockKey& key) const noexcept {
  const std::uint64_t h = hash(key);
  return find_from(home_of(h), tag_of(h), key);
}

// Three stages a key, a batch apart: its bucket is on its way, its record is on its way, it is compared.
std::size_t Index::find_prefix(std::span<const BlockKey> keys, std::span<BlockId> ids) const noexcept {
  assert(ids.size() >= keys.size());
  std::array<std::uint64_t, 3 * kBatch> hashes;
  const auto batch = [&](std::size_t first) {
    return std::pair(std::min(first, keys.size()), std::min(first + kBatch, keys.size()));
  };
  for (std::size_t first = 0; first < keys.size() + 2 * kBatch; first += kBatch) {
    for (auto [i, end] = batch(first); i < end; ++i) {
      const std::uint64_t h = hashes[i % hashes.size()] = hash(keys[i]);
      __builtin_prefetch(&buckets_[home_of(h)]);
    }
    if (first < kBatch) continue;
    for (auto [i, end] = batch(first - kBatch); i < end; ++i) {
      const std::uint64_t h = hashes[i % hashes.size()];
      ids[i] = likely_id(buckets_[home_of(h)], tag_of(h));
      if (ids[i]) __builtin_prefetch(&(*records_)[ids[i].value]);
    }
    if (first < 2 * kBatch) continue;
    for (auto [i, end] = batch(first - 2 * kBatch); i < end; ++i) {
      if (ids[i] && (*records_)[ids[i].value].holds(keys[i])) continue;
      const std::uint64_t h = hashes[i % hashes.size()];
      ids[i] = find_from(home_of(h), tag_of(h), keys[i]);
      if (!ids[i]) return i;
    }
  }
  return keys.size();
}

bool Index::insert(const BlockKey& key, BlockId id) noexcept {
  const std::uint64_t h = hash(key);
  const std::uint64_t home = home_of(h);
  std::uint64_t bucket = home;
  for (std::uint64_t probes = 0; probes < per_shard_; ++probes, bucket = next_in_shard(bucket)) {
    const unsigned entry = empty_entry(buckets_[bucket]);
    if (entry == Bucket::kEntries) continue;
    for (std::uint64_t passed = home; passed != bucket; passed = next_in_shard(passed)) {
      buckets_[passed].set_overflow(buckets_[passed].overflow() + 1);
    }
    buckets_[bucket].set_id(entry, id.value);
    buckets_[bucket].set_tag(entry, tag_of(h));
    return true;
  }
  return false;
}

void Index::erase(const BlockKey& key, BlockId id) noexcept {
  const std::uint64_t h = hash(key);
  const std::uint16_t tag = tag_of(h);
  const std::uint64_t home = home_of(h);
  std::uint64_t bucket = home;
  for (std::uint64_t probes = 0; probes < per_shard_; ++probes, bucket = next_in_shard(bucket)) {
    Bucket& b = buckets_[bucket];
    for (unsigned mask = b.candidates(tag); mask != 0; mask &= mask - 1) {
      const auto entry = static_cast<unsigned>(std::countr_zero(mask));
      if (b.tag(entry) != tag || b.id(entry) != id.value) continue;
      b.set_tag(entry, 0);
      for (std::uint64_t passed = home; passed != bucket; passed = next_in_shard(passed)) {
        buckets_[passed].set_overflow(buckets_[passed].overflow() - 1);
      }
      return;
    }
  }
  assert(false && "erasing a key that is not in the index");
}

}  // namespace kelvin

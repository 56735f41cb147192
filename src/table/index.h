// key -> block record: a fingerprint index of cache-line buckets, in shards.
//
// Search starts at the bucket the key hashes to and goes on to the next while `overflow` says that entries
// lie behind (the scheme of F14, with buckets of ten). At the design load of 0.7 a search touches 1.1 lines.
//
// Thread contract: find and find_many from any thread without a lock; insert and erase with the lock of the
// key's shard held (`shard_of`), which also serialises the record's life.
// Invariant: the index names records by id and never owns them; `Records` verifies keys.
#pragma once

#include <cstdint>
#include <span>

#include "base/huge_array.h"
#include "base/spin_lock.h"
#include "base/wide.h"
#include "kelvin/block.h"
#include "kelvin/status.h"
#include "table/bucket.h"
#include "table/record.h"

namespace kelvin {

class Index {
 public:
  // For up to `capacity` entries. `seed` keeps keys that somebody chose from piling up in one bucket.
  static Result<Index> make(std::uint32_t capacity, std::uint64_t seed,
                            const HugeArray<BlockRecord>* records) noexcept;

  struct alignas(64) Shard {
    SpinLock lock;
  };
  Shard& shard_of(const BlockKey& key) noexcept { return shards_[shard_number(hash(key))]; }

  BlockId find(const BlockKey& key) const noexcept;
  void prefetch(const BlockKey& key) const noexcept { __builtin_prefetch(&buckets_[home_of(hash(key))], 1); }

  // Finds the keys in order until one is missing; ids[0, returned) are valid, the others undefined. Overlaps
  // the cache misses of up to 64 keys. ids.size() >= keys.size().
  std::size_t find_prefix(std::span<const BlockKey> keys, std::span<BlockId> ids) const noexcept;

  // Precondition: the key's shard is locked; insert: the key is absent; erase: it is there with this id.
  // False: the shard is full.
  bool insert(const BlockKey& key, BlockId id) noexcept;
  void erase(const BlockKey& key, BlockId id) noexcept;

  std::size_t bytes() const noexcept { return buckets_.bytes() + shards_.bytes(); }

 private:
  std::uint64_t hash(const BlockKey& key) const noexcept {
    return folded_product(folded_product(key.lo ^ seed_, 0xD6E8'FEB8'6659'FD93) ^ key.hi,
                          0x9E37'79B9'7F4A'7C15 ^ seed_);
  }
  static std::uint16_t tag_of(std::uint64_t hash) noexcept {
    const auto tag = static_cast<std::uint16_t>(hash);
    return tag == 0 ? 1 : tag;
  }
  std::uint64_t shard_number(std::uint64_t hash) const noexcept { return high_product(hash, shards_.size()); }
  std::uint64_t home_of(std::uint64_t hash) const noexcept { return high_product(hash, buckets_.size()); }
  std::uint64_t next_in_shard(std::uint64_t bucket) const noexcept {
    ++bucket;
    return bucket % per_shard_ == 0 ? bucket - per_shard_ : bucket;
  }
  BlockId likely_id(const Bucket& bucket, std::uint16_t tag) const noexcept;
  BlockId find_from(std::uint64_t bucket, std::uint16_t tag, const BlockKey& key) const noexcept;

  // Constant after make.
  HugeArray<Bucket> buckets_;
  HugeArray<Shard> shards_;
  const HugeArray<BlockRecord>* records_ = nullptr;
  std::uint64_t per_shard_ = 1;  // buckets of one shard
  std::uint64_t seed_ = 0;
};

}  // namespace kelvin

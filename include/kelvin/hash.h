// Keys of blocks: a chain of XXH3-128 hashes, so that one key names a whole prefix.
//
//   layout   = XXH3_64(model, seed = 0) mixed with block_bytes and block_tokens   (see docs/formats.md)
//   root     = XXH3_128(salt bytes,                    seed = layout)
//   key[i]   = XXH3_128(key[i-1].lo ‖ key[i-1].hi ‖ tokens[i] as u32, all little endian, seed = 0)
//
// Golden vectors: tests/hash_test.cc. XXH3 is not a cryptographic hash: a tenant's salt keeps honest
// tenants apart; it is no defence against one who can choose tokens freely and knows the salt.
//
// Thread contract: pure functions; nothing allocates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kelvin/block.h"

namespace kelvin {

// Fingerprint of everything that makes two models' blocks differ. Blocks of other layouts never match.
struct Layout {
  std::uint64_t fingerprint = 0;
  friend constexpr auto operator<=>(const Layout&, const Layout&) noexcept = default;
};

Layout make_layout(std::string_view model, std::uint64_t block_bytes, std::uint32_t block_tokens) noexcept;

// What a tenant is called in Hints and AllocateOptions: XXH3_64(salt, seed = 0), never 0.
std::uint64_t tenant_id(std::string_view salt) noexcept;

// The parent of every first block of one tenant (`salt`) and layout.
BlockKey root_key(std::string_view salt, Layout layout) noexcept;

// The key of the block that holds `tokens` after the prefix named by `parent`.
BlockKey chain_key(const BlockKey& parent, std::span<const std::uint32_t> tokens) noexcept;

// Keys of all whole blocks of a prompt, first to last, into `out`; a last partial block gets none.
// Returns how many were written: min(tokens.size() / block_tokens, out.size()), 0 if block_tokens is 0.
std::size_t hash_chain(std::span<const std::uint32_t> tokens, std::uint32_t block_tokens,
                       std::string_view salt, Layout layout, std::span<BlockKey> out) noexcept;

}  // namespace kelvin

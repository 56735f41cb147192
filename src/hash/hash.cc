// Keys of blocks by chained XXH3-128. The exact bytes that are hashed are in docs/formats.md, "Keys".
//
// Thread contract: pure functions; nothing allocates.
// Invariants:
//   1. What is hashed is the same on little- and big-endian machines.
#include "kelvin/hash.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace kelvin {
namespace {

constexpr bool kLittle = std::endian::native == std::endian::little;
constexpr std::size_t kKeyBytes = 16;
// Up to this many tokens are hashed in one call from the stack; beyond, through XXH3's stream state,
// whose set-up would cost small blocks more than their hash.
constexpr std::size_t kOneCallTokens = 1024;

template <class T>
void put_little(std::byte* to, T value) noexcept {
  if constexpr (kLittle) {
    std::memcpy(to, &value, sizeof value);
  } else {
    for (std::size_t i = 0; i < sizeof value; ++i) to[i] = static_cast<std::byte>(value >> (8 * i));
  }
}

void put_tokens(std::byte* to, std::span<const std::uint32_t> tokens) noexcept {
  if constexpr (kLittle) {
    if (!tokens.empty()) std::memcpy(to, tokens.data(), tokens.size_bytes());
  } else {
    for (std::size_t i = 0; i < tokens.size(); ++i) put_little(to + 4 * i, tokens[i]);
  }
}

BlockKey to_key(const XXH128_hash_t& hash) noexcept { return {.hi = hash.high64, .lo = hash.low64}; }

BlockKey chain_large(std::span<const std::byte> parent, std::span<const std::uint32_t> tokens) noexcept {
  XXH3_state_t state;
  XXH3_INITSTATE(&state);
  XXH3_128bits_reset(&state);
  XXH3_128bits_update(&state, parent.data(), parent.size());
  std::array<std::byte, 4 * kOneCallTokens> piece;
  while (!tokens.empty()) {
    const auto part = tokens.first(std::min(tokens.size(), kOneCallTokens));
    put_tokens(piece.data(), part);
    XXH3_128bits_update(&state, piece.data(), part.size_bytes());
    tokens = tokens.subspan(part.size());
  }
  return to_key(XXH3_128bits_digest(&state));
}

}  // namespace

Layout make_layout(std::string_view model, std::uint64_t block_bytes, std::uint32_t block_tokens) noexcept {
  std::array<std::byte, 20> bytes;
  put_little(bytes.data(), static_cast<std::uint64_t>(XXH3_64bits(model.data(), model.size())));
  put_little(bytes.data() + 8, block_bytes);
  put_little(bytes.data() + 16, block_tokens);
  return {.fingerprint = XXH3_64bits(bytes.data(), bytes.size())};
}

std::uint64_t tenant_id(std::string_view salt) noexcept {
  const std::uint64_t hash = XXH3_64bits(salt.data(), salt.size());
  return hash != 0 ? hash : 1;
}

BlockKey root_key(std::string_view salt, Layout layout) noexcept {
  return to_key(XXH3_128bits_withSeed(salt.data(), salt.size(), layout.fingerprint));
}

BlockKey chain_key(const BlockKey& parent, std::span<const std::uint32_t> tokens) noexcept {
  std::array<std::byte, kKeyBytes + 4 * kOneCallTokens> bytes;
  put_little(bytes.data(), parent.lo);
  put_little(bytes.data() + 8, parent.hi);
  if (tokens.size() > kOneCallTokens) return chain_large(std::span(bytes).first(kKeyBytes), tokens);
  put_tokens(bytes.data() + kKeyBytes, tokens);
  return to_key(XXH3_128bits(bytes.data(), kKeyBytes + tokens.size_bytes()));
}

std::size_t hash_chain(std::span<const std::uint32_t> tokens, std::uint32_t block_tokens,
                       std::string_view salt, Layout layout, std::span<BlockKey> out) noexcept {
  if (block_tokens == 0) return 0;
  const std::size_t count = std::min(tokens.size() / block_tokens, out.size());
  BlockKey parent = root_key(salt, layout);
  for (std::size_t i = 0; i < count; ++i) {
    parent = chain_key(parent, tokens.subspan(i * block_tokens, block_tokens));
    out[i] = parent;
  }
  return count;
}

}  // namespace kelvin

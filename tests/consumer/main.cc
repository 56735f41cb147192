#include <kelvin/kelvin.h>

#include <array>
#include <cstdio>
#include <cstring>

int main() {
  kelvin::Config config;  // one tier: 64 MiB of DRAM in blocks of 64 KiB, each the KV of 4 tokens
  config.space = {.block_bytes = 64 << 10, .block_tokens = 4, .model = "tiny"};
  config.tiers = {{.name = "dram", .kind = "dram", .capacity_bytes = 64 << 20, .options = {}}};
  auto space = kelvin::Space::open(config);
  if (!space.ok()) return 1;
  const auto dram = (*space)->find_tier("dram");

  const std::array<std::uint32_t, 8> prompt{1, 2, 3, 4, 5, 6, 7, 8};
  std::array<kelvin::BlockKey, 2> keys;
  kelvin::hash_chain(prompt, 4, "tenant", (*space)->layout(), keys);
  std::printf("before: %u of 2 blocks are known\n", (*space)->match(keys).blocks);

  auto fresh = (*space)->allocate(2, dram);  // writable slots: the engine computes into them ...
  for (std::size_t i = 0; fresh.ok() && i < 2; ++i) std::memset(fresh->address(i).pointer, 'k', 64 << 10);
  if (!fresh.ok() || !(*space)->publish(*fresh, keys, 0).ok()) return 1;  // ... they become blocks ...
  if (!fresh->release().ok()) return 1;                                   // ... and stay, warm

  auto ticket = (*space)->acquire(keys, dram);  // later: the longest known prefix, leased
  if (!ticket.ok() || !ticket->wait(std::chrono::seconds(1)).ok()) return 1;
  const kelvin::Lease prefix = ticket->take();
  const auto* bytes = reinterpret_cast<const char*>(prefix.address(1).pointer);
  std::printf("after: %zu of 2 blocks are leased, block 1 begins with '%c'\n", prefix.size(), bytes[0]);
  return prefix.size() == 2 && bytes[0] == 'k' ? 0 : 1;
}

// What real_model.py calls of Kelvin, by ctypes: a space over the engine's own KV tensors, with DRAM below.
//
// Plain C at the border: nothing here knows torch, whatever it was compiled with.
//
// Thread contract: one thread.
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kelvin/kelvin.h"

namespace kelvin::bench {
namespace {

constexpr TierIndex kEngine(0);
constexpr std::chrono::seconds kPatience(600);

struct Engine {
  std::unique_ptr<Space> space;
  std::uint32_t block_tokens = 0;
  Lease lease;  // of what was reserved or loaded last
  std::string error;

  std::vector<BlockKey> keys(const std::uint32_t* tokens, std::uint64_t count) const {
    std::vector<BlockKey> chain(count / block_tokens);
    hash_chain({tokens, count}, block_tokens, "real_model", space->layout(), chain);
    return chain;
  }

  // 0, or -1 with a text in `error`.
  int answer(const Status& status, const char* what) {
    if (status.ok()) return 0;
    error = std::string(what) + ": " + status.message();
    return -1;
  }
};

// Never null, so that the caller can ask for the text.
Engine* opened(std::unique_ptr<Engine> engine) { return engine.release(); }

std::vector<Slot> slots_of(const std::uint32_t* slots, std::uint64_t count) { return {slots, slots + count}; }

}  // namespace
}  // namespace kelvin::bench

using kelvin::bench::Engine;

extern "C" {

// bases: where each segment of slot 0 lies; slot s is `stride` bytes further for each. `config`: a path.
Engine* kelvin_open(const char* config, const std::uint64_t* bases, std::uint32_t segments,
                    std::uint64_t segment_bytes, std::uint64_t stride, std::uint32_t slots) {
  auto engine = std::make_unique<Engine>();
  auto read = kelvin::load_config(config, &engine->error);
  if (!read.ok()) return kelvin::bench::opened(std::move(engine));
  kelvin::Parts parts;
  kelvin::Parts::Adopted adopted;
  adopted.tier = read->tiers.front().name;
  for (std::uint32_t i = 0; i < segments; ++i) {
    adopted.memory.bases.push_back(reinterpret_cast<std::byte*>(bases[i]));
  }
  adopted.memory.segment_bytes = segment_bytes;
  adopted.memory.stride_bytes = stride;
  adopted.memory.slots = slots;
  parts.adopted.push_back(std::move(adopted));
  engine->block_tokens = read->space.block_tokens;
  auto space = kelvin::Space::open(*read, &engine->error, std::move(parts));
  if (space.ok()) engine->space = std::move(*space);
  return kelvin::bench::opened(std::move(engine));
}

void kelvin_close(Engine* engine) { delete engine; }

// Why the last call failed; "" after kelvin_open: it did not.
const char* kelvin_error(const Engine* engine) {
  return engine->space != nullptr && engine->error.empty() ? "" : engine->error.c_str();
}

// Before the engine computes into these slots.
int kelvin_reserve(Engine* engine, const std::uint32_t* slots, std::uint64_t count) {
  const auto named = kelvin::bench::slots_of(slots, count);
  kelvin::AllocateOptions options;
  options.slots = named;
  auto lease = engine->space->allocate(static_cast<std::uint32_t>(count), kelvin::bench::kEngine, options);
  if (!lease.ok()) return engine->answer(lease.status(), "allocate");
  engine->lease = std::move(*lease);
  return 0;
}

// What was computed is the KV of these tokens; returns when DRAM has a copy of all of it.
int kelvin_publish(Engine* engine, const std::uint32_t* tokens, std::uint64_t count) {
  const auto chain = engine->keys(tokens, count);
  kelvin::Status status = engine->space->publish(engine->lease, chain, 0);
  if (status.ok()) status = engine->lease.release();
  if (status.ok()) status = engine->space->settle(kelvin::bench::kPatience);
  return engine->answer(status, "publish");
}

// The copies in the engine's memory are gone; those in DRAM stay.
int kelvin_drop(Engine* engine, const std::uint32_t* tokens, std::uint64_t count) {
  return engine->answer(engine->space->drop(engine->keys(tokens, count), kelvin::bench::kEngine), "drop");
}

// Loads the KV of these tokens into these slots, and leases it. The number of blocks, or -1.
std::int64_t kelvin_load(Engine* engine, const std::uint32_t* tokens, std::uint64_t count,
                         const std::uint32_t* slots) {
  const auto chain = engine->keys(tokens, count);
  const auto into = kelvin::bench::slots_of(slots, chain.size());
  kelvin::AcquireOptions options;
  options.into = into;
  auto ticket = engine->space->acquire(chain, kelvin::bench::kEngine, options);
  if (!ticket.ok()) return engine->answer(ticket.status(), "acquire");
  const kelvin::Status status = ticket->wait(kelvin::bench::kPatience);
  engine->lease = ticket->take();
  if (!status.ok()) return engine->answer(status, "acquire");
  return static_cast<std::int64_t>(engine->lease.size());
}

int kelvin_release(Engine* engine) { return engine->answer(engine->lease.release(), "release"); }

}  // extern "C"

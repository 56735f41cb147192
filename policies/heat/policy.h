// Policy "heat": see ../heat.h. The blocks, which request used them last, and what goes next.
//
// Thread contract: one thread at a time, as kelvin::Policy. Allocates at construction, in save() and in
// load() only. Invariants:
//   1. blocks_[b].tiers has bit t exactly while copies_[t] contains b, and b then counts as a child of its
//      parent in every tier from its nearest copy on.
//   2. A plan names no copy twice, and none that was leased when it looked.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kelvin/block.h"
#include "kelvin/policy.h"
#include "kelvin/status.h"
#include "policies/heat/copies.h"
#include "policies/heat/ghosts.h"
#include "policies/heat/requests.h"
#include "policies/plan.h"
#include "policies/promotions.h"

namespace kelvin::heat {

struct Settings {
  std::uint32_t blocks = 0;          // every BlockId is below this
  std::vector<std::uint32_t> slots;  // by tier
  std::vector<bool> adopted;         // by tier
  std::uint32_t block_tokens = 512;
  std::uint64_t ghosts = 0;    // blocks remembered after they are gone
  std::uint32_t requests = 0;  // requests remembered
  std::uint32_t sample = 64;   // leaves looked at for each victim
  bool use_hints = true;       // priority and retain_for count
  bool by_seconds = false;     // heat is weighed by what recomputing would cost
  float write_worth = 2;       // heat, as a share of what the lower tier evicts, that is worth a write
  bool prefetch = true;        // what will be used soon is promoted before it is asked for
  Hazard::Rates rates;
};

class HeatPolicy final : public Policy {
 public:
  explicit HeatPolicy(const Settings& settings);  // may throw std::bad_alloc

  void observe(const View& view, std::span<const Event> events) noexcept override;
  std::size_t plan(const View& view, const Budget& budget, std::span<Move> moves) noexcept override;

  std::uint64_t due_ns() const noexcept override { return promotions_.due_ns(); }

  void save(std::vector<std::byte>& bytes) const override;  // tables.h
  Status load(std::span<const std::byte> bytes) override;

  std::uint64_t ghost_bytes() const noexcept { return ghosts_.bytes(); }
  std::uint64_t request_bytes() const noexcept;
  std::uint64_t block_bytes() const noexcept;  // all else that grows with the table

 private:
  static constexpr std::uint32_t kNone = BlockId::kNone;
  static constexpr std::uint32_t kGraceSeconds = 10;      // by which a scheduler's announcement may be late
  static constexpr std::uint32_t kMostPromotions = 8192;  // waiting at once
  static constexpr std::size_t kMostAtOnce = 4096;        // blocks of one request

  struct Block {
    std::uint32_t parent = kNone;
    std::uint32_t request = Requests::kNone;  // the last that used it
    std::uint32_t keep_until_s = 0;
    std::uint8_t tiers = 0;
    std::uint8_t priority = kPlain;
    std::uint8_t part : 3 = 0;
    std::uint8_t forks : 4 = 0;
    bool counted : 1 = false;   // in `waiting` of its request
    bool met : 1 = false;       // the fields are right
    bool orphan : 1 = false;    // its parent is unknown: no prefix can reach it
    bool expected : 1 = false;  // keep_until_s comes from a scheduler
    bool passed : 1 = false;    // proposed, or found leased, in this plan
    bool bare : 1 = false;      // this plan names all that builds on it
    bool unsaved : 1 = false;   // in the queue of an adopted tier
    bool queued : 1 = false;    // in promotions_
  };
  static_assert(sizeof(Block) == 16);
  static constexpr std::uint8_t kPlain = 50;  // priority

  // How the engine wants a block kept.
  struct Retention {
    std::uint8_t priority = kPlain;
    std::uint32_t until_s = 0;
  };
  // A lease whose kHit events are coming in, deepest first.
  struct Run {
    std::uint32_t expected = kNone;  // block of the next one
    std::uint32_t request = Requests::kNone;
    std::uint64_t time_ns = 0;
  };
  // Returns of blocks of one part of one request, learned from together.
  struct Returns {
    std::uint32_t request = Requests::kNone;
    Part part = Part::kTail;
    std::uint32_t count = 0;
    std::uint64_t time_ns = 0;
  };

  // Blocks that ask to be let in, in one plan.
  struct Admission {
    const Newcomers* newcomers = nullptr;  // null: nobody asks
    std::uint32_t serial = Requests::kNone;
    Request request;       // as it will be with all of them
    std::size_t next = 0;  // the one that the next victim makes room for
    float rank = 0;        // its
  };
  // A request of which the first blocks were let in, and the last ones not, before any was published.
  struct Admitted {
    BlockKey first;
    std::uint32_t serial = Requests::kNone;
  };

  // observe.cc
  void meet(const View& view, BlockId id) noexcept;
  void hit(const View& view, const Event& event) noexcept;
  void publish(const View& view, const Event& event) noexcept;
  void arrive(const View& view, const Event& event) noexcept;
  void release(const View& view, const Event& event) noexcept;
  void leave(const View& view, const Event& event) noexcept;
  void forget(const Event& event) noexcept;
  void expect(const Event& event) noexcept;
  std::uint32_t begin_request(std::uint64_t now_ns) noexcept;
  Run& run_of(const Event& event) noexcept;
  std::uint32_t joined(const Block& block, const BlockState& state, const Event& event) noexcept;
  void use(Block& block, std::uint32_t request, std::uint64_t now_ns) noexcept;
  void note_return(std::uint32_t request, Part part, std::uint64_t now_ns) noexcept;
  void learn_returns() noexcept;
  void close(std::uint32_t serial, Request& request) noexcept;
  bool settle(std::uint32_t serial, Request& request) noexcept;
  void count(Block& block, Request& request, Part part) noexcept;
  static std::uint32_t end_of(std::uint32_t seconds, std::uint64_t start_ns) noexcept;
  static Part part_of(unsigned forks, bool known, bool tail) noexcept;
  // What an event or a hint says of the request behind it.
  template <class Said>
  static void hear(Request& request, const Said& said) noexcept {
    if (said.session != 0) request.session = said.session;
    if (said.output_tokens != 0) request.output = said.output_tokens;
    if (said.finish != FinishReason::kUnknown) request.finish = said.finish;
  }
  void retain(Block& block, const Event& event) noexcept;
  void add_copy(std::uint32_t id, TierIndex tier) noexcept;
  void remove_copy(std::uint32_t id, TierIndex tier) noexcept;

  // admit.cc
  void begin_admission(const Newcomers* newcomers, std::uint64_t now_ns) noexcept;
  std::uint32_t request_of(const Newcomers& newcomers) const noexcept;
  void rank_newcomer(std::uint64_t now_ns) noexcept;
  void refuse(std::uint64_t now_ns) noexcept;
  void remember(const BlockKey& key, std::uint32_t serial, bool tail, std::uint64_t now_ns) noexcept;

  // promote.cc
  void promote_from(std::uint32_t id, std::uint64_t due_ns) noexcept;
  void foresee(std::uint64_t now_ns) noexcept;
  void promote_chain(const Request& request, std::uint32_t serial, std::uint64_t now_ns) noexcept;
  void promote(Plan& plan) noexcept;

  // plan.cc
  struct Candidate {
    std::uint32_t block = kNone;
    float rank = 0;
  };
  struct Tier {
    Tier(std::uint32_t slots, std::uint32_t blocks) : copies(slots, blocks) {}
    // Whether a block with copies in these tiers may go now.
    bool will_do(std::uint8_t tiers) const noexcept { return needed == 0 || (tiers & needed) != 0; }
    // Precondition: the pool is not full and does not hold it.
    void keep(const Candidate& candidate) noexcept {
      std::size_t i = pooled++;
      for (; i > 0 && candidate.rank >= pool[i - 1].rank; --i) pool[i] = pool[i - 1];
      pool[i] = candidate;
    }

    Copies copies;
    std::uint8_t needed = 0;           // tiers, in one of which a victim must have a copy; 0: any will do
    std::array<Candidate, 16> pool{};  // cold leaves seen before, the next victim last; none twice
    std::size_t pooled = 0;
    float bar = 0;                       // recent mean of the heat of what was evicted here
    std::vector<std::uint32_t> unsaved;  // adopted tiers: a queue in a ring
    std::size_t first_unsaved = 0;
    std::size_t unsaved_count = 0;
  };
  bool admit(const Candidate& victim, std::uint64_t now_ns) noexcept;  // admit.cc
  float rank(std::uint32_t id, std::uint64_t now_ns) noexcept;
  float weigh(float heat, std::uint32_t depth, const Retention& retention,
              std::uint64_t now_ns) const noexcept;
  Retention retention_of(const Hints& hints, std::uint64_t now_ns) const noexcept;
  void free_slots(Plan& plan, TierIndex tier) noexcept;
  Candidate pick(Plan& plan, TierIndex tier) noexcept;
  Candidate pick_any(Plan& plan, TierIndex tier) noexcept;
  Candidate next_up(Plan& plan, TierIndex tier, const Candidate& child) noexcept;
  void fill_pool(Tier& tier, std::uint64_t now_ns, bool first) noexcept;
  void offer(Tier& tier, std::uint32_t id, std::uint64_t now_ns) noexcept;
  Verdict evict(Plan& plan, TierIndex tier, const Candidate& victim) noexcept;
  bool worth_writing(const Plan& plan, TierIndex to, const Candidate& victim) const noexcept;
  void pass(std::uint32_t id) noexcept;
  void save_adopted(Plan& plan, TierIndex tier) noexcept;
  void queue_unsaved(Tier& tier, std::uint32_t id) noexcept;
  std::uint32_t random(std::uint32_t below) noexcept;

  // Constant after construction.
  const std::uint32_t sample_;
  const bool use_hints_;
  const bool by_seconds_;
  const float write_worth_;
  const std::uint32_t block_tokens_;
  const bool prefetch_;
  const std::size_t nearest_;  // tier that Kelvin may fill

  std::vector<Block> blocks_;
  std::vector<Tier> tiers_;
  Requests requests_;
  Ghosts ghosts_;
  std::array<Run, 8> runs_{};
  std::size_t last_run_ = 0;
  Returns returns_;
  Promotions promotions_;
  std::vector<std::uint32_t> chain_;
  Admission admission_;
  Admitted admitted_;
  std::vector<std::uint32_t> passed_;
  std::uint64_t random_ = 0x9E37'79B9'7F4A'7C15;
};

}  // namespace kelvin::heat

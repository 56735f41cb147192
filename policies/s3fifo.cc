// See s3fifo.h.
#include "policies/s3fifo.h"

#include <algorithm>

#include "policies/ghosts.h"
#include "policies/newcomer_queue.h"
#include "policies/ranked_policy.h"
#include "policies/recency_list.h"

namespace kelvin {
namespace {

constexpr std::uint32_t kSmallShare = 10;  // the small queue has one slot in ten
constexpr std::uint8_t kMostUses = 3;      // counted
constexpr std::uint8_t kPromoted = 2;  // uses in the small queue from which on a block enters the main one

class S3FifoRanking {
 public:
  static constexpr bool kLeafFirst = false;

  explicit S3FifoRanking(const RankingContext& context)
      : small_slots_(std::max(1u, context.slots / kSmallShare)),
        main_slots_(context.slots - context.slots / kSmallShare),
        links_(context.blocks),
        items_(context.blocks),
        gone_(main_slots_) {}
  S3FifoRanking(const S3FifoRanking&) = delete;  // the queues name the links
  S3FifoRanking& operator=(const S3FifoRanking&) = delete;

  void arrive(const View& /*view*/, const Event& event, const BlockState& state) noexcept {
    const std::uint32_t block = event.block.value;
    if (items_[block].queue != Queue::kNone) return;
    const bool returned = gone_.take(state.key) != GhostLists::kNone;
    items_[block] = {returned ? Queue::kMain : Queue::kSmall, a_use_follows(event) ? kNew : std::uint8_t{0}};
    queue_of(block).push(block);
  }

  void use(const View& /*view*/, const Event& event) noexcept {
    const std::uint32_t block = event.block.value;
    Item& item = items_[block];
    if (item.queue == Queue::kNone) return;
    if (item.uses == kNew) {  // its place is that of its lease's end, not of its publishing
      queue_of(block).touch(block);
      item.uses = 0;
    } else {
      item.uses = std::min<std::uint8_t>(kMostUses, item.uses + 1);
    }
  }

  void leave(const View& view, BlockId block) noexcept {
    Item& item = items_[block.value];
    if (item.queue == Queue::kNone) return;
    queue_of(block.value).remove(block.value);
    if (item.queue == Queue::kSmall) static_cast<void>(gone_.push(view.block(block).key));
    item.queue = Queue::kNone;
  }

  void begin(const Budget& budget) noexcept {
    newcomers_.begin(budget);
    const auto granted = newcomers_.granted();
    small_size_ = small_.size() +
                  std::ranges::count_if(granted, [this](const BlockKey& key) { return enters_small(key); });
    main_size_ = main_.size();
    // A block that came from the small queue, and was then met in each round of the main one: those in which
    // uses are taken off, one that names it, and one more for what was spared.
    looks_ = (kMostUses + 3) * (std::uint64_t{small_.size()} + main_.size()) + 1;
    in_small_ = small_.oldest();
    in_main_ = main_.oldest();
    spared_small_ = spared_main_ = 0;
  }

  std::uint32_t next() noexcept {
    const BlockKey* const newcomer = newcomers_.next();
    while (looks_ != 0) {
      --looks_;
      const bool main_over = main_size_ > main_slots_ && in_main_ != kNone;
      const bool small_full = small_size_ >= small_slots_;
      // The small queue is full of newcomers: they are its end.
      if (!main_over && small_full && in_small_ == kNone && newcomer != nullptr && enters_small(*newcomer)) {
        newcomers_.refuse([this](const BlockKey& key) { static_cast<void>(gone_.push(key)); });
        return kNone;
      }
      const bool small = !main_over && in_small_ != kNone && (small_full || in_main_ == kNone);
      if (!small && in_main_ == kNone) return kNone;
      const std::uint32_t block = small ? step(small_, in_small_) : step(main_, in_main_);
      const std::uint8_t uses = items_[block].uses;
      if (uses == kNew || uses < (small ? kPromoted : 1)) return block;
      requeue(block);
    }
    return kNone;
  }
  void take(std::uint32_t block) noexcept {
    --(items_[block].queue == Queue::kSmall ? small_size_ : main_size_);
    const BlockKey* const newcomer = newcomers_.next();
    if (newcomer != nullptr && enters_small(*newcomer)) ++small_size_;
    newcomers_.grant();
  }
  // Blocks in use go to the end of their queue; where nothing else is left in it, the walk through it ends.
  void spare(std::uint32_t block) noexcept {
    const bool small = items_[block].queue == Queue::kSmall;
    queue_of(block).touch(block);
    std::uint32_t& spared = small ? spared_small_ : spared_main_;
    if (++spared >= queue_of(block).size()) (small ? in_small_ : in_main_) = kNone;
  }

 private:
  static constexpr std::uint32_t kNone = RecencyList::kNone;
  static constexpr std::uint8_t kNew = 255;  // its first use is to come

  enum class Queue : std::uint8_t { kNone, kSmall, kMain };
  struct Item {
    Queue queue = Queue::kNone;
    std::uint8_t uses = 0;  // since it came, or was queued again
  };

  RecencyList& queue_of(std::uint32_t block) noexcept {
    return items_[block].queue == Queue::kSmall ? small_ : main_;
  }
  bool enters_small(const BlockKey& key) const noexcept { return gone_.find(key) == GhostLists::kNone; }
  static std::uint32_t step(const RecencyList& queue, std::uint32_t& at) noexcept {
    const std::uint32_t block = at;
    at = queue.newer_than(block);
    return block;
  }
  // Behind all of the main queue instead of out.
  void requeue(std::uint32_t block) noexcept {
    Item& item = items_[block];
    queue_of(block).remove(block);
    main_.push(block);
    if (in_main_ == kNone) in_main_ = block;
    spared_main_ = 0;
    if (item.queue == Queue::kMain) {
      --item.uses;
    } else {
      item = {Queue::kMain, 0};
      --small_size_;
      ++main_size_;
    }
  }

  const std::uint32_t small_slots_, main_slots_;
  RecencyLinks links_;
  RecencyList small_{links_}, main_{links_};
  std::vector<Item> items_;  // by block
  GhostLists gone_;          // from the small queue
  NewcomerQueue newcomers_;

  // Of a walk: where it is in the queues, their sizes without its victims and with the newcomers that have
  // slots, and how many more blocks it may look at.
  std::uint32_t in_small_ = kNone, in_main_ = kNone;
  std::uint32_t spared_small_ = 0, spared_main_ = 0;  // since something else was met
  std::int64_t small_size_ = 0, main_size_ = 0;
  std::uint64_t looks_ = 0;
};

}  // namespace

const PolicyFactory kS3FifoPolicy = {"s3fifo", {}, make_ranked<S3FifoRanking>};

}  // namespace kelvin

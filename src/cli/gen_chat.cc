// The chat model: people visit, most ask once, some stay; every prompt repeats its conversation.
//
// A visit starts with one system prompt that all share, or, seldom, with the longer one of a custom
// assistant; the first prompt may be long (a pasted document, a conversation begun before the trace). Some
// turns rewrite an earlier message: then only what stood before it is shared. As in the public chat traces a
// last partial block has an id too, which nobody ever shares.
#include <queue>
#include <utility>

#include "cli/gen_context.h"
#include "cli/gen_random.h"
#include "cli/trace_gen.h"

namespace kelvin::cli {
namespace {

// Tokens, and milliseconds where it says so.
constexpr Quantile kFirstPrompt[] = {{0, 890},     {120, 920},   {200, 1150},  {350, 2700},  {500, 5400},
                                     {750, 13000}, {900, 24500}, {950, 36000}, {990, 82000}, {1000, 126000}};
constexpr Quantile kAnswer[] = {{0, 1},     {50, 10},   {100, 24},  {250, 160},  {500, 350},
                                {750, 470}, {900, 600}, {950, 700}, {990, 1100}, {1000, 2000}};
constexpr Quantile kQuestion[] = {{0, 4},      {250, 15},   {500, 50},    {700, 300},   {800, 1100},
                                  {900, 4200}, {950, 7000}, {990, 16500}, {1000, 60000}};
constexpr Quantile kThinkMs[] = {{0, 6000},     {10, 12000},    {50, 27000},    {100, 39000},
                                 {250, 66000},  {500, 130000},  {750, 300000},  {900, 560000},
                                 {950, 800000}, {990, 1600000}, {1000, 3600000}};

constexpr std::uint32_t kVisitMeanMs = 440;
constexpr std::uint32_t kStayers = 50;         // per mille of visitors who go on and on
constexpr std::uint32_t kStayerReturns = 760;  // per mille, after each turn
constexpr std::uint32_t kOtherReturns = 330;
constexpr std::uint32_t kRewrites = 80;  // per mille of later turns
constexpr std::uint32_t kAssisted = 30;  // per mille of visitors of a custom assistant
constexpr std::uint32_t kAssistants = 200;
constexpr std::uint32_t kAssistantBlocks = 40;
constexpr std::uint32_t kWindowTokens = 128000;

struct Conversation {
  Context context;
  std::uint64_t session = 0;
  std::uint32_t returns = 0;  // per mille
};

struct Turn {
  std::uint64_t time_ms = 0;
  std::uint64_t order = 0;  // equal times stay in order of planning
  Conversation conversation;
};

struct Later {
  bool operator()(const Turn& a, const Turn& b) const noexcept {
    return a.time_ms != b.time_ms ? a.time_ms > b.time_ms : a.order > b.order;
  }
};

class ChatModel final : public TraceModel {
 public:
  explicit ChatModel(std::uint64_t seed)
      : random_(seed), popularity_(kAssistants, 3), assistants_(kAssistants) {
    system_block_ = ids_.take();
  }

  void next(Request& request) override {
    if (turns_.empty() || next_visit_ms_ <= turns_.top().time_ms) {
      const std::uint64_t now_ms = next_visit_ms_;
      next_visit_ms_ += draw(kExponential, random_) * kVisitMeanMs / 1000;
      Conversation visit = begin();
      serve(now_ms, visit, request);
      return;
    }
    const std::uint64_t now_ms = turns_.top().time_ms;
    Conversation conversation = turns_.top().conversation;
    turns_.pop();
    serve(now_ms, conversation, request);
  }

 private:
  Conversation begin() {
    Conversation visit;
    visit.session = next_session_++;
    visit.returns = random_.chance(kStayers) ? kStayerReturns : kOtherReturns;
    visit.context.blocks.push_back(system_block_);
    visit.context.tokens = static_cast<std::uint32_t>(draw(kFirstPrompt, random_));
    if (random_.chance(kAssisted) && visit.context.tokens < kWindowTokens / 2) {
      auto& prompt = assistants_[popularity_.draw(random_)];
      if (prompt.empty()) {
        const std::uint32_t length = random_.between(2, kAssistantBlocks);
        while (prompt.size() < length) prompt.push_back(ids_.take());
      }
      visit.context.blocks.insert(visit.context.blocks.end(), prompt.begin(), prompt.end());
      visit.context.tokens += static_cast<std::uint32_t>(prompt.size()) * kTraceBlockTokens;
    }
    return visit;
  }

  void serve(std::uint64_t now_ms, Conversation& conversation, Request& request) {
    Context& context = conversation.context;
    context.extend(ids_);
    request.timestamp_ms = now_ms;
    request.input_tokens = context.tokens;
    request.output_tokens = static_cast<std::uint32_t>(draw(kAnswer, random_));
    request.finish = request.output_tokens >= 2000 ? FinishReason::kLength : FinishReason::kStop;
    request.session = conversation.session;
    request.subagent = false;
    request.hash_ids = context.blocks;
    if (context.tokens % kTraceBlockTokens != 0) request.hash_ids.push_back(ids_.take());
    plan_return(now_ms, conversation, request.output_tokens);
  }

  void plan_return(std::uint64_t now_ms, Conversation& conversation, std::uint32_t answer) {
    if (!random_.chance(conversation.returns)) return;
    Context& context = conversation.context;
    const auto question = static_cast<std::uint32_t>(draw(kQuestion, random_));
    if (random_.chance(kRewrites)) {
      const auto whole = static_cast<std::uint32_t>(context.blocks.size());
      context.diverge(1 + random_.below(whole));
    } else {
      context.tokens += answer + question;
    }
    if (context.tokens > kWindowTokens) return;
    turns_.push({now_ms + draw(kThinkMs, random_), planned_++, std::move(conversation)});
  }

  Random random_;
  IdSource ids_;
  Zipf popularity_;
  std::vector<std::vector<std::uint64_t>> assistants_;  // blocks after the common one; empty: not met yet
  std::priority_queue<Turn, std::vector<Turn>, Later> turns_;
  std::uint64_t system_block_ = 0;
  std::uint64_t next_visit_ms_ = 0;
  std::uint64_t next_session_ = 0;
  std::uint64_t planned_ = 0;
};

}  // namespace

std::unique_ptr<TraceModel> make_chat_model(std::uint64_t seed) { return std::make_unique<ChatModel>(seed); }

}  // namespace kelvin::cli

// The agent model: coding sessions of many people on one cluster.
//
// A session is a loop: think, call a tool, come back seconds later with the tool's result at the end of the
// same prompt. Its system prompt (one of some variants) is shared with other sessions. When the context
// window is full the session goes on from a summary behind the system prompt; now and then its history is
// rendered anew. Some sessions send subagents off: short loops behind a system prompt of their own.
#include <algorithm>
#include <queue>
#include <utility>

#include "cli/gen_context.h"
#include "cli/gen_random.h"
#include "cli/trace_gen.h"

namespace kelvin::cli {
namespace {

// Tokens, and milliseconds or requests where it says so.
constexpr Quantile kSessionRequests[] = {{0, 3},    {50, 4},    {100, 6},   {250, 17},  {500, 41},
                                         {750, 85}, {900, 140}, {950, 190}, {990, 330}, {1000, 420}};
constexpr Quantile kFresh[] = {{0, 10000}, {200, 15500}, {500, 19000}, {1000, 26000}};
constexpr Quantile kResumed[] = {{0, 30000},    {300, 95000},  {500, 150000}, {730, 250000},
                                 {870, 420000}, {970, 720000}, {1000, 860000}};
constexpr Quantile kAnswer[] = {{0, 50},    {50, 88},   {100, 105},  {250, 140},  {500, 215},
                                {750, 420}, {900, 880}, {950, 1500}, {990, 3600}, {1000, 12000}};
constexpr Quantile kToolResult[] = {{0, 0},      {150, 10},   {250, 50},    {500, 290},   {750, 1090},
                                    {900, 3300}, {950, 6300}, {990, 16000}, {1000, 60000}};
constexpr Quantile kSummary[] = {{0, 4000}, {500, 10000}, {1000, 16000}};
constexpr Quantile kToolMs[] = {{0, 2500},     {50, 5500},     {100, 6500},    {250, 9000},
                                {500, 15000},  {750, 31000},   {900, 95000},   {950, 170000},
                                {990, 720000}, {997, 1800000}, {1000, 9000000}};
constexpr Quantile kPersonMs[] = {{0, 3000},       {50, 8000},      {100, 17000},   {250, 56000},
                                  {500, 190000},   {750, 690000},   {900, 2000000}, {950, 3100000},
                                  {990, 13500000}, {1000, 40000000}};
constexpr Quantile kSubToolMs[] = {{0, 500},     {250, 5000},  {500, 7000},
                                   {750, 10000}, {900, 23000}, {1000, 120000}};

constexpr std::uint32_t kSessionMeanMs = 38000;  // from one start to the next
constexpr std::uint32_t kResumes = 370;          // per mille of sessions that bring a history along
constexpr std::uint32_t kAsksPerson = 50;        // per mille of answers
constexpr std::uint32_t kCutOff = 3;             // per mille of answers
constexpr std::uint32_t kRenders = 7;            // per mille of requests: history rendered anew
constexpr std::uint32_t kLargeWindow = 80;       // per mille of sessions
constexpr std::uint32_t kPromptTokensPerMs = 60;
constexpr std::uint32_t kExploringTokens = 80000;  // shorter contexts grow twice as fast: files are read
constexpr std::uint32_t kVariants = 120;
constexpr std::uint32_t kWithSubagents = 25;  // per mille of sessions
constexpr std::uint32_t kSpawns = 60;         // per mille of their requests
constexpr std::uint32_t kMaxTokens = 900000;

struct Loop {
  Context context;
  std::uint64_t session = 0;
  Random random{0};
  std::uint32_t window = 0;
  std::uint32_t variant = 0;
  std::uint32_t left = 0;  // requests to come
  bool subagent = false;
  bool spawns = false;
};

struct Step {
  std::uint64_t time_ms = 0;
  std::uint64_t order = 0;  // equal times stay in order of planning
  std::uint32_t loop = 0;
};

struct Later {
  bool operator()(const Step& a, const Step& b) const noexcept {
    return a.time_ms != b.time_ms ? a.time_ms > b.time_ms : a.order > b.order;
  }
};

class AgentModel final : public TraceModel {
 public:
  AgentModel(std::uint64_t requests, std::uint64_t seed)
      : random_(seed), seed_(seed), variants_(kVariants, 2), prompts_(2 * std::size_t{kVariants}) {
    std::uint64_t planned = 0;
    while (planned < requests) planned += add_session();
    const std::uint64_t time_ms = loops_.size() * std::uint64_t{kSessionMeanMs};
    for (std::uint32_t loop = 0; loop < loops_.size(); ++loop) {
      steps_.push({random_.next() % time_ms, planned_++, loop});
    }
  }

  void next(Request& request) override {
    if (steps_.empty()) {
      add_session();
      steps_.push({last_ms_, planned_++, static_cast<std::uint32_t>(loops_.size() - 1)});
    }
    const Step step = steps_.top();
    steps_.pop();
    last_ms_ = step.time_ms;
    serve(step, request);
  }

 private:
  std::uint32_t add_session() {
    Loop& loop = loops_.emplace_back();
    loop.session = sessions_++;
    loop.random = Random(seed_, loop.session + 1);
    loop.variant = variants_.draw(loop.random);
    loop.left = static_cast<std::uint32_t>(draw(kSessionRequests, loop.random));
    loop.window = loop.random.chance(kLargeWindow) ? loop.random.between(400000, kMaxTokens)
                                                   : loop.random.between(155000, 172000);
    loop.spawns = loop.random.chance(kWithSubagents);
    const bool resumes = loop.random.chance(kResumes);
    loop.context.tokens =
        static_cast<std::uint32_t>(resumes ? draw(kResumed, loop.random) : draw(kFresh, loop.random));
    if (loop.context.tokens > loop.window) {
      loop.window = kMaxTokens;
      loop.left = std::max(3U, loop.left / 2);
    }
    return loop.left;
  }

  // The system prompt and the tools' descriptions of a variant, of a session or of its subagents.
  const std::vector<std::uint64_t>& prompt_of(const Loop& loop) {
    auto& prompt = prompts_[2 * loop.variant + (loop.subagent ? 1 : 0)];
    if (prompt.empty()) {
      const std::uint32_t length = loop.subagent ? random_.between(14, 22) : random_.between(17, 30);
      while (prompt.size() < length) prompt.push_back(ids_.take());
    }
    return prompt;
  }

  void serve(const Step& step, Request& request) {
    Loop& loop = loops_[step.loop];
    const auto& prompt = prompt_of(loop);
    Context& context = loop.context;
    const auto least = (static_cast<std::uint32_t>(prompt.size()) + 1) * kTraceBlockTokens;
    context.tokens = std::max(context.tokens, least);
    if (context.blocks.empty()) context.blocks = prompt;
    context.extend(ids_);

    request.timestamp_ms = step.time_ms;
    request.input_tokens = context.tokens;
    request.output_tokens = static_cast<std::uint32_t>(draw(kAnswer, loop.random));
    request.finish = finish(loop);
    request.session = loop.session;
    request.subagent = loop.subagent;
    request.hash_ids = context.blocks;
    plan_return(step, request);
  }

  static FinishReason finish(Loop& loop) {
    if (loop.random.chance(kCutOff)) return FinishReason::kLength;
    return loop.left <= 1 || loop.random.chance(kAsksPerson) ? FinishReason::kStop : FinishReason::kToolUse;
  }

  void plan_return(const Step& step, const Request& request) {
    Loop& loop = loops_[step.loop];
    if (--loop.left == 0) {
      loop.context.blocks = {};
      return;
    }
    grow(loop, request.output_tokens);
    const bool person = request.finish == FinishReason::kStop && !loop.subagent;
    const std::uint64_t gap_ms = draw(
        person ? std::span<const Quantile>(kPersonMs)
               : (loop.subagent ? std::span<const Quantile>(kSubToolMs) : std::span<const Quantile>(kToolMs)),
        loop.random);
    // Longer prompts take longer to answer.
    const std::uint64_t answer_ms = loop.context.tokens / kPromptTokensPerMs;
    steps_.push({step.time_ms + gap_ms + answer_ms, planned_++, step.loop});
    if (loop.spawns && !loop.subagent && loop.random.chance(kSpawns)) spawn(step);
  }

  void grow(Loop& loop, std::uint32_t answer) {
    Context& context = loop.context;
    const std::size_t system_blocks = prompt_of(loop).size();
    const auto system_tokens = static_cast<std::uint32_t>(system_blocks) * kTraceBlockTokens;
    const auto result = static_cast<std::uint32_t>(draw(kToolResult, loop.random));
    context.tokens += answer + (context.tokens < kExploringTokens ? 2 * result : result);
    if (context.tokens > loop.window) {
      context.tokens = system_tokens + static_cast<std::uint32_t>(draw(kSummary, loop.random));
      context.diverge(system_blocks);
    } else if (loop.random.chance(kRenders)) {
      context.diverge(system_blocks);
    }
  }

  void spawn(const Step& step) {
    Loop sub;
    Loop& parent = loops_[step.loop];
    sub.session = parent.session;
    sub.random = Random(parent.random.next());
    sub.variant = parent.variant;
    sub.window = parent.window;
    sub.left = sub.random.between(5, 25);
    sub.subagent = true;
    sub.context.tokens = sub.random.between(9500, 12000);
    loops_.push_back(std::move(sub));
    steps_.push({step.time_ms + 1000, planned_++, static_cast<std::uint32_t>(loops_.size() - 1)});
  }

  Random random_;
  const std::uint64_t seed_;
  IdSource ids_;
  Zipf variants_;
  std::vector<std::vector<std::uint64_t>> prompts_;  // by variant: of the session, of its subagents
  std::vector<Loop> loops_;
  std::priority_queue<Step, std::vector<Step>, Later> steps_;
  std::uint64_t sessions_ = 0;
  std::uint64_t planned_ = 0;
  std::uint64_t last_ms_ = 0;
};

}  // namespace

std::unique_ptr<TraceModel> make_agent_model(std::uint64_t requests, std::uint64_t seed) {
  return std::make_unique<AgentModel>(requests, seed);
}

}  // namespace kelvin::cli

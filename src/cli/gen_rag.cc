// The retrieval model: a system prompt, some documents in the order of their rank, a question of its own.
//
// Topics and documents are asked for by popularity. A topic's ranking is nearly the same for everyone who
// asks, so that prompts share their first documents and part where the rankings differ. Blocks do not end
// where documents do: a block's id follows from everything up to its end.
#include <unordered_map>
#include <utility>

#include "cli/gen_context.h"
#include "cli/gen_random.h"
#include "cli/trace_gen.h"

namespace kelvin::cli {
namespace {

constexpr Quantile kAnswer[] = {{0, 8}, {250, 90}, {500, 190}, {750, 340}, {950, 700}, {1000, 1500}};
constexpr Quantile kQuestion[] = {{0, 12}, {500, 40}, {900, 160}, {1000, 500}};
constexpr Quantile kDocuments[] = {{0, 3}, {500, 6}, {900, 10}, {1000, 14}};

constexpr std::uint32_t kMeanMs = 250;  // from one request to the next
constexpr std::uint32_t kSystemTokens = 1400;
constexpr std::uint32_t kTopics = 3000;
constexpr std::uint32_t kLibrary = 20000;  // documents
constexpr std::uint32_t kLeastTokens = 300;
constexpr std::uint32_t kMostTokens = 1100;
constexpr std::uint32_t kSkips = 80;  // per mille of ranks at which this request has another document

struct Piece {
  std::uint64_t what = 0;
  std::uint32_t tokens = 0;
};

class RagModel final : public TraceModel {
 public:
  explicit RagModel(std::uint64_t seed)
      : random_(seed), seed_(seed), topics_(kTopics, 3), library_(kLibrary, 40) {}

  void next(Request& request) override {
    pieces_.clear();
    pieces_.push_back({0, kSystemTokens});
    const std::uint32_t topic = topics_.draw(random_);
    const auto documents = draw(kDocuments, random_);
    for (std::uint32_t rank = 0; rank < documents; ++rank) pieces_.push_back(document(topic, rank));
    // A question's own number keeps it apart from every document.
    pieces_.push_back({mix_bits(++questions_ + (std::uint64_t{1} << 40)),
                       static_cast<std::uint32_t>(draw(kQuestion, random_))});

    now_ms_ += draw(kExponential, random_) * kMeanMs / 1000;
    request.timestamp_ms = now_ms_;
    request.output_tokens = static_cast<std::uint32_t>(draw(kAnswer, random_));
    request.finish = FinishReason::kStop;
    request.session = questions_ - 1;
    request.subagent = false;
    name_blocks(request);
  }

 private:
  Piece document(std::uint32_t topic, std::uint32_t rank) {
    // The ranking of a topic is drawn from its own stream: everyone gets the same.
    Random ranking(seed_, (std::uint64_t{topic} << 32) + rank + 1);
    const std::uint32_t which = random_.chance(kSkips) ? library_.draw(random_) : library_.draw(ranking);
    const auto length = static_cast<std::uint32_t>(mix_bits(seed_ + which) % (kMostTokens - kLeastTokens));
    return {std::uint64_t{which} + 1, kLeastTokens + length};
  }

  // A block is named by its parent and by the pieces that lie in it.
  void name_blocks(Request& request) {
    request.hash_ids.clear();
    std::uint64_t digest = 0;
    std::uint32_t total = 0;
    std::uint32_t in_block = 0;
    for (const Piece& piece : pieces_) {
      std::uint32_t at = 0;
      while (at < piece.tokens) {
        const std::uint32_t part = std::min(piece.tokens - at, kTraceBlockTokens - in_block);
        digest = mix_bits(digest + mix_bits(piece.what) + (std::uint64_t{at} << 32) + part);
        at += part;
        in_block = (in_block + part) % kTraceBlockTokens;
        if (in_block == 0) request.hash_ids.push_back(id_of(digest));
      }
      total += piece.tokens;
    }
    if (in_block != 0) request.hash_ids.push_back(ids_.take());
    request.input_tokens = total;
  }

  std::uint64_t id_of(std::uint64_t digest) {
    const auto [entry, fresh] = known_.try_emplace(digest, 0);
    if (fresh) entry->second = ids_.take();
    return entry->second;
  }

  Random random_;
  const std::uint64_t seed_;
  IdSource ids_;
  Zipf topics_;
  Zipf library_;
  std::vector<Piece> pieces_;
  std::unordered_map<std::uint64_t, std::uint64_t> known_;
  std::uint64_t now_ms_ = 0;
  std::uint64_t questions_ = 0;
};

}  // namespace

std::unique_ptr<TraceModel> make_rag_model(std::uint64_t seed) { return std::make_unique<RagModel>(seed); }

}  // namespace kelvin::cli

// Reading traces: what is taken, and that everything else is refused with its line and what is wrong.
#include "cli/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <zstd.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "cli/trace_info.h"

namespace kelvin::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

const std::string kLine = R"({"timestamp": 5, "input_length": 700, "output_length": 9, "hash_ids": [0, 1]})";

std::string compressed(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

struct Outcome {
  std::vector<Request> requests;
  Status status;
  std::string why;
};

Outcome read_all(TraceReader& reader) {
  Outcome outcome;
  Request request;
  for (;;) {
    auto more = reader.next(request, &outcome.why);
    outcome.status = more.status();
    if (!more.ok() || !*more) return outcome;
    outcome.requests.push_back(request);
  }
}

Outcome read_text(const std::string& text) {
  TraceReader reader(ByteSource::from_memory(text), "t.jsonl");
  return read_all(reader);
}

class TraceFile : public testing::Test {
 protected:
  void TearDown() override { std::remove(path_.c_str()); }

  Outcome read_file(const std::string& bytes) {
    std::ofstream(path_, std::ios::binary) << bytes;
    Outcome outcome;
    auto reader = TraceReader::open(path_, &outcome.why);
    if (reader.ok()) return read_all(**reader);
    outcome.status = reader.status();
    return outcome;
  }

  std::string path_ = testing::TempDir() + "kelvin_trace_test." + std::to_string(::getpid()) + ".jsonl";
};

TEST(Trace, ReadsTheFieldsOfAMooncakeLine) {
  const Outcome got = read_text(kLine + "\n");
  ASSERT_EQ(got.requests.size(), 1U) << got.why;
  const Request& request = got.requests[0];
  EXPECT_EQ(request.timestamp_ms, 5U);
  EXPECT_EQ(request.input_tokens, 700U);
  EXPECT_EQ(request.output_tokens, 9U);
  EXPECT_THAT(request.hash_ids, ElementsAre(0U, 1U));
  EXPECT_EQ(request.finish, FinishReason::kUnknown);
  EXPECT_FALSE(request.session.has_value());
  EXPECT_FALSE(request.subagent);
}

TEST(Trace, ReadsTheOptionalFields) {
  const Outcome got = read_text(
      R"({"hash_ids":[18446744073709551615],"session":12,"subagent":1,"finish_reason":"tool_use","timestamp":7.9,)"
      R"("input_length":1,"output_length":0})");
  ASSERT_EQ(got.requests.size(), 1U) << got.why;
  EXPECT_EQ(got.requests[0].finish, FinishReason::kToolUse);
  EXPECT_EQ(got.requests[0].session, 12U);
  EXPECT_TRUE(got.requests[0].subagent);
  EXPECT_EQ(got.requests[0].timestamp_ms, 7U);
  EXPECT_THAT(got.requests[0].hash_ids, ElementsAre(~std::uint64_t{0}));
}

TEST(Trace, KnowsTheFinishReasonsOfSeveralEnginesAndTakesUnknownOnes) {
  const std::vector<std::pair<std::string, FinishReason>> words = {
      {"tool_calls", FinishReason::kToolUse}, {"end_turn", FinishReason::kStop},
      {"stop", FinishReason::kStop},          {"length", FinishReason::kLength},
      {"abort", FinishReason::kCanceled},     {"", FinishReason::kUnknown},
      {"whatever", FinishReason::kUnknown}};
  for (const auto& [word, finish] : words) {
    const Outcome got = read_text(kLine.substr(0, kLine.size() - 1) + R"(,"finish_reason":")" + word + "\"}");
    ASSERT_EQ(got.requests.size(), 1U) << got.why;
    EXPECT_EQ(got.requests[0].finish, finish) << word;
  }
}

TEST(Trace, TellsTextSessionsApart) {
  const std::string head = kLine.substr(0, kLine.size() - 1) + R"(,"session":)";
  const Outcome got = read_text(head + "\"a\"}\n" + head + "\"b\"}\n" + head + "\"a\"}\n");
  ASSERT_EQ(got.requests.size(), 3U) << got.why;
  EXPECT_EQ(got.requests[0].session, got.requests[2].session);
  EXPECT_NE(got.requests[0].session, got.requests[1].session);
}

TEST(Trace, IgnoresFieldsItDoesNotKnowWhateverTheyHold) {
  const Outcome got = read_text(
      R"({"x":{"timestamp":"no","hash_ids":[-1]},"y":[[1],{"session":-5}],"z":null,"w":-1.5,"v":"s",)" +
      kLine.substr(1));
  ASSERT_EQ(got.requests.size(), 1U) << got.why;
  EXPECT_THAT(got.requests[0].hash_ids, ElementsAre(0U, 1U));
}

TEST(Trace, OneRequestsFieldsDoNotLeakIntoTheNext) {
  const std::string full =
      kLine.substr(0, kLine.size() - 1) + R"(,"session":1,"subagent":true,"finish_reason":"stop"})";
  const Outcome got = read_text(full + "\n" + kLine);
  ASSERT_EQ(got.requests.size(), 2U) << got.why;
  EXPECT_FALSE(got.requests[1].session.has_value());
  EXPECT_FALSE(got.requests[1].subagent);
  EXPECT_EQ(got.requests[1].finish, FinishReason::kUnknown);
  EXPECT_EQ(got.requests[1].hash_ids.size(), 2U);
}

TEST(Trace, SkipsBlankLinesAndNeedsNoLastNewline) {
  EXPECT_EQ(read_text("\n" + kLine + "\r\n \t\n" + kLine).requests.size(), 2U);
}

TEST(Trace, TakesARequestWithoutBlocks) {
  const Outcome got = read_text(R"({"timestamp":0,"input_length":3,"output_length":1,"hash_ids":[]})");
  ASSERT_EQ(got.requests.size(), 1U) << got.why;
  EXPECT_TRUE(got.requests[0].hash_ids.empty());
}

struct Bad {
  std::string line;
  std::string why;
};

class BadTrace : public testing::TestWithParam<Bad> {};

TEST_P(BadTrace, IsRefusedWithItsLineAndWhatIsWrong) {
  const Outcome got = read_text(kLine + "\n\n" + GetParam().line + "\n" + kLine + "\n");
  EXPECT_EQ(got.requests.size(), 1U);
  EXPECT_EQ(got.status.code(), Code::kInvalid);
  EXPECT_THAT(got.why, StartsWith("t.jsonl:3: "));
  EXPECT_THAT(got.why, HasSubstr(GetParam().why));
}

INSTANTIATE_TEST_SUITE_P(
    Trace, BadTrace,
    testing::Values(
        Bad{"not json", "is not JSON"}, Bad{kLine.substr(0, 40), "is not JSON"},
        Bad{kLine + "x", "is not JSON"}, Bad{kLine + kLine, "is not JSON"},
        Bad{"[1]", "is an array; a request is a JSON object"}, Bad{"7", "is 7; a request is a JSON object"},
        Bad{"null", "is null; a request is a JSON object"}, Bad{"{}", "timestamp is missing"},
        Bad{R"({"timestamp":1,"input_length":2,"output_length":3})",
            "hash_ids is missing; it must be an array"},
        Bad{R"({"timestamp":1,"input_length":2,"hash_ids":[]})", "output_length is missing"},
        Bad{R"({"timestamp":-1,"input_length":2,"output_length":3,"hash_ids":[]})", "timestamp is -1"},
        Bad{R"({"timestamp":-0.5,"input_length":2,"output_length":3,"hash_ids":[]})", "timestamp is -0.5"},
        Bad{R"({"timestamp":"1","input_length":2,"output_length":3,"hash_ids":[]})", "timestamp is a text"},
        Bad{R"({"timestamp":1,"input_length":2.5,"output_length":3,"hash_ids":[]})", "input_length is 2.5"},
        Bad{R"({"timestamp":1,"input_length":4294967296,"output_length":3,"hash_ids":[]})",
            "input_length is 4294967296; it must be a number of tokens"},
        Bad{R"({"timestamp":1,"input_length":null,"output_length":3,"hash_ids":[]})", "input_length is null"},
        Bad{R"({"timestamp":1,"input_length":2,"output_length":true,"hash_ids":[]})",
            "output_length is true"},
        Bad{R"({"timestamp":1,"input_length":2,"output_length":3,"hash_ids":5})",
            "hash_ids is 5; it must be an array"},
        Bad{R"({"timestamp":1,"input_length":2,"output_length":3,"hash_ids":{}})", "hash_ids is an object"},
        Bad{R"({"timestamp":1,"input_length":2,"output_length":3,"hash_ids":null})", "hash_ids is null"},
        Bad{R"({"timestamp":1,"input_length":2,"output_length":3,"hash_ids":[4,-2]})", "hash_ids[1] is -2"},
        Bad{R"({"timestamp":1,"input_length":2,"output_length":3,"hash_ids":[1.5]})", "hash_ids[0] is 1.5"},
        Bad{R"({"timestamp":1,"input_length":2,"output_length":3,"hash_ids":[18446744073709551616]})",
            "hash_ids[0] is 18446744073709551616"},
        Bad{R"({"timestamp":1,"input_length":2,"output_length":3,"hash_ids":["a"]})",
            "hash_ids[0] is a text"},
        Bad{R"({"timestamp":1,"input_length":2,"output_length":3,"hash_ids":[[1]]})",
            "hash_ids[0] is an array"},
        Bad{R"({"timestamp":1,"input_length":2,"output_length":3,"hash_ids":[{}]})",
            "hash_ids[0] is an object"},
        Bad{R"({"timestamp":1,"timestamp":1,"input_length":2,"output_length":3,"hash_ids":[]})",
            "timestamp is given twice"},
        Bad{R"({"timestamp":1,"input_length":2,"output_length":3,"hash_ids":[],"session":-4})",
            "session is -4"},
        Bad{R"({"timestamp":1,"input_length":2,"output_length":3,"hash_ids":[],"session":[]})",
            "session is an array"},
        Bad{R"({"timestamp":1,"input_length":2,"output_length":3,"hash_ids":[],"finish_reason":4})",
            "finish_reason is 4"},
        Bad{R"({"timestamp":1,"input_length":2,"output_length":3,"hash_ids":[],"subagent":"x"})",
            "subagent is a text"}));

TEST(Trace, AnEmptyTraceIsAnError) {
  for (const std::string& text : {std::string(), std::string("\n \n"), compressed("")}) {
    const Outcome got = read_text(text);
    EXPECT_EQ(got.status.code(), Code::kInvalid);
    EXPECT_THAT(got.why, HasSubstr("t.jsonl: holds no request"));
  }
}

TEST(Trace, AfterAnErrorTheReaderIsAtItsEnd) {
  const std::string text = "x\n" + kLine + "\n";
  TraceReader reader(ByteSource::from_memory(text), "t");
  Request request;
  std::string why;
  EXPECT_FALSE(reader.next(request, &why).ok());
  const auto again = reader.next(request, &why);
  ASSERT_TRUE(again.ok());
  EXPECT_FALSE(*again);
}

TEST(Trace, ALineBeyondTheCapIsAnErrorNotUnboundedMemory) {
  const std::string bytes = compressed(std::string(TraceReader::kMaxLineBytes + (1 << 20), ' '));
  const Outcome got = read_text(bytes);
  EXPECT_EQ(got.status.code(), Code::kInvalid);
  EXPECT_THAT(got.why, HasSubstr("t.jsonl:1: line is longer than 64 MiB"));
}

TEST(Trace, DeeplyNestedLinesAreReadWithoutRecursion) {
  const std::string deep(1 << 20, '[');
  const Outcome got = read_text("{\"x\":" + deep);
  EXPECT_EQ(got.status.code(), Code::kInvalid);
}

TEST_F(TraceFile, ZstdIsToldByItsFirstBytesNotByItsName) {
  const Outcome got = read_file(compressed(kLine + "\n" + kLine + "\n"));
  EXPECT_EQ(got.requests.size(), 2U) << got.why;
}

TEST_F(TraceFile, SeveralZstdFramesAreOneStream) {
  const Outcome got =
      read_file(compressed(kLine + "\n") + compressed(kLine.substr(0, 9)) + compressed(kLine.substr(9)));
  EXPECT_EQ(got.requests.size(), 2U) << got.why;
}

TEST_F(TraceFile, ATruncatedZstdFileIsAnErrorWhereverItWasCut) {
  std::string text;
  for (int i = 0; i < 200; ++i) text += kLine + "\n";
  const std::string bytes = compressed(text);
  for (std::size_t size = 5; size < bytes.size(); size += 3) {
    const Outcome got = read_file(bytes.substr(0, size));
    ASSERT_EQ(got.status.code(), Code::kCorrupt) << size;
    ASSERT_THAT(got.why, HasSubstr("cut short")) << size;
  }
}

TEST_F(TraceFile, DamagedZstdIsAnErrorWithItsReason) {
  std::string bytes = compressed(kLine + "\n");
  bytes += "garbage behind the frame";
  const Outcome got = read_file(bytes);
  EXPECT_EQ(got.status.code(), Code::kCorrupt);
  EXPECT_THAT(got.why, HasSubstr("is not sound zstd"));
}

TEST_F(TraceFile, AMissingFileAndADirectoryAreNamed) {
  std::string why;
  EXPECT_EQ(TraceReader::open(path_ + ".absent", &why).status().code(), Code::kNotFound);
  EXPECT_THAT(why, HasSubstr(".absent: cannot be opened"));
  EXPECT_FALSE(TraceReader::open(testing::TempDir(), &why).ok());
  EXPECT_THAT(why, HasSubstr("is a directory"));
}

TEST_F(TraceFile, ProgressGoesFromZeroToOne) {
  std::string text;
  for (int i = 0; i < 20000; ++i) text += kLine + "\n";
  std::ofstream(path_, std::ios::binary) << text;
  std::string why;
  auto reader = TraceReader::open(path_, &why);
  ASSERT_TRUE(reader.ok()) << why;
  Request request;
  double last = (*reader)->progress();
  EXPECT_EQ(last, 0);
  while (*(*reader)->next(request, &why)) {
    EXPECT_GE((*reader)->progress(), last);
    last = (*reader)->progress();
  }
  EXPECT_EQ(last, 1);
}

TEST(Trace, WhatIsWrittenIsReadBack) {
  Request request;
  request.timestamp_ms = 123456789;
  request.input_tokens = 1024;
  request.output_tokens = 77;
  request.finish = FinishReason::kLength;
  request.session = 3;
  request.subagent = true;
  request.hash_ids = {0, 1, ~std::uint64_t{0}};
  std::string line;
  append_request(request, line);
  const Outcome got = read_text(line);
  ASSERT_EQ(got.requests.size(), 1U) << got.why;
  EXPECT_EQ(got.requests[0].timestamp_ms, request.timestamp_ms);
  EXPECT_EQ(got.requests[0].input_tokens, request.input_tokens);
  EXPECT_EQ(got.requests[0].output_tokens, request.output_tokens);
  EXPECT_EQ(got.requests[0].finish, request.finish);
  EXPECT_EQ(got.requests[0].session, request.session);
  EXPECT_EQ(got.requests[0].subagent, request.subagent);
  EXPECT_EQ(got.requests[0].hash_ids, request.hash_ids);
}

Request of(std::uint64_t ms, std::vector<std::uint64_t> ids) {
  Request request;
  request.timestamp_ms = ms;
  request.hash_ids = std::move(ids);
  return request;
}

TEST(TraceSummary, CountsHitsOfWholePrefixesOnly) {
  TraceSummary summary;
  summary.add(of(0, {1, 2, 3}));
  summary.add(of(10, {1, 2, 4}));
  summary.add(of(30, {9, 2}));
  EXPECT_EQ(summary.requests(), 3U);
  EXPECT_EQ(summary.references(), 8U);
  EXPECT_EQ(summary.unique_blocks(), 5U);
  EXPECT_DOUBLE_EQ(summary.hit_ratio(), 2.0 / 8);
  EXPECT_EQ(summary.broken_chains(), 1U);
  EXPECT_EQ(summary.reuse_ms().count(), 3U);
  EXPECT_EQ(summary.reuse_ms().max(), 20U);
}

TEST(TraceSummary, SaysWhatIsOutOfOrder) {
  TraceSummary summary;
  for (const std::uint64_t ms : {5U, 4U, 6U}) summary.add(of(ms, {ms}));
  EXPECT_EQ(summary.out_of_order(), 1U);
  EXPECT_EQ(summary.first_ms(), 4U);
  EXPECT_EQ(summary.last_ms(), 6U);
  EXPECT_THAT(describe(summary), HasSubstr("1 requests are earlier"));
}

}  // namespace
}  // namespace kelvin::cli

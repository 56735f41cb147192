// A generated trace in memory, for tests of what simulates.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "cli/trace.h"
#include "cli/trace_gen.h"
#include "cli/trace_set.h"
#include "kelvin/config.h"

namespace kelvin::cli {

inline TraceSet traces_of(TraceKind kind, std::uint64_t requests, const Config& config) {
  const std::string path = ::testing::TempDir() + "kelvin_traces_of_" + std::to_string(::getpid()) + ".jsonl";
  std::string text;
  Request request;
  const auto model = make_trace_model(kind, requests, 3);
  for (std::uint64_t i = 0; i < requests; ++i) {
    model->next(request);
    append_request(request, text);
  }
  std::ofstream(path, std::ios::binary) << text;
  TraceSetOptions options;
  options.layout = make_layout(config.space.model, config.space.block_bytes, config.space.block_tokens);
  std::string why;
  auto set = load_traces({path}, options, &why);
  std::remove(path.c_str());
  EXPECT_TRUE(set.ok()) << why;
  return set.ok() ? std::move(*set) : TraceSet{};
}

}  // namespace kelvin::cli

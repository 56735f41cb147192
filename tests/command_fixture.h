// The kelvin command as a test runs it: in a folder of its own, output and errors apart.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace kelvin {

inline constexpr const char* kTwoTiers = R"(
[space]
block_bytes = "16KiB"
model = "test"
[[tier]]
name = "near"
kind = "dram"
capacity = "16MiB"
[[tier]]
name = "far"
kind = "dram"
capacity = "64MiB"
)";

struct Outcome {
  int code = -1;
  std::string out;
  std::string err;
};

class Command : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "kelvin_cli_test.XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // `arguments` as a shell would read them; `under`: a command that runs it.
  Outcome kelvin(const std::string& arguments, const std::string& under = {}) {
    const std::string out = folder_ + "/stdout";
    const std::string err = folder_ + "/stderr";
    const int status = std::system(  // NOLINT(concurrency-mt-unsafe): a test has one thread
        (under + " '" + KELVIN_COMMAND + "' " + arguments + " >'" + out + "' 2>'" + err + "'").c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read(out), read(err)};
  }

  static std::string read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }

  std::string write(const std::string& name, const std::string& text) {
    std::string path = folder_ + "/" + name;
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }

  std::string trace(const std::string& kind, int requests) {
    std::string path = folder_ + "/" + kind + ".jsonl";
    const Outcome got = kelvin("trace gen --kind " + kind + " --seed 1 --requests " +
                               std::to_string(requests) + " --out " + path);
    EXPECT_EQ(got.code, 0) << got.err;
    return path;
  }

  std::string folder_;
};

}  // namespace kelvin

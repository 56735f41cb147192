// Replays a fuzz target's corpus, seeds and past findings alike, in every build and with every compiler.
// The target aborts where something is wrong: the last file named is the one.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

std::vector<std::filesystem::path> corpus() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(KELVIN_CORPUS)) files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

std::string bytes_of(const std::filesystem::path& path) {
  std::ostringstream bytes;
  bytes << std::ifstream(path, std::ios::binary).rdbuf();
  return bytes.str();
}

void run(const std::string& bytes) {
  const std::vector<std::uint8_t> exact(bytes.begin(), bytes.end());  // no byte behind the last one
  EXPECT_EQ(LLVMFuzzerTestOneInput(exact.data(), exact.size()), 0);
}

TEST(Corpus, EveryFileIsAnsweredAsTheTargetDemands) {
  const std::vector<std::filesystem::path> files = corpus();
  ASSERT_FALSE(files.empty()) << KELVIN_CORPUS << " holds no file";
  for (const std::filesystem::path& path : files) {
    std::printf("%s\n", path.filename().c_str());
    std::fflush(stdout);
    run(bytes_of(path));
  }
}

// Cuts and flips find what whole files do not: a parser at the end of its text, in the middle of a word.
TEST(Corpus, EveryFileCutShortOrWithOneByteChangedIsAnsweredToo) {
  for (const std::filesystem::path& path : corpus()) {
    const std::string bytes = bytes_of(path);
    const std::size_t step = std::max<std::size_t>(1, bytes.size() / 128);
    for (std::size_t i = 0; i < bytes.size(); i += step) {
      run(bytes.substr(0, i));
      std::string changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ (1 << (i % 8)));
      run(changed);
    }
  }
}

}  // namespace

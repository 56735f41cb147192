// What a policy has learned, kept in a file from one run to the next.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include "space_fixture.h"

namespace kelvin::testing {
namespace {

class LearnedTest : public ::testing::Test {
 protected:
  void TearDown() override { std::remove(path_.c_str()); }

  Config config(const std::string& policy) {
    Config config = config_of({tier_of("dram", "dram", 16)});
    config.policy.name = policy;
    return config;
  }
  static void use(Space& space) {
    for (std::uint64_t i = 0; i < 200; ++i) {
      const auto chain = chain_of(i % 7, 3);
      const Lease held = acquire_blocks(space, chain);
      if (held.size() < chain.size()) publish_blocks(space, chain, kNear, held.size());
    }
  }
  std::string content() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  const std::string path_ = ::testing::TempDir() + "kelvin_learned_" + std::to_string(::getpid());
};

TEST_F(LearnedTest, IsSavedAndLoadedByHand) {
  const auto taught = open_space(config("heat"));
  use(*taught);
  std::string why;
  ASSERT_TRUE(taught->save_learned(path_, &why).ok()) << why;
  const std::string saved = content();
  const auto other = open_space(config("heat"));
  ASSERT_TRUE(other->load_learned(path_, &why).ok()) << why;
  ASSERT_TRUE(other->save_learned(path_).ok());
  EXPECT_EQ(content(), saved);
}

TEST_F(LearnedTest, IsWrittenAtTheEndOfARunAndReadByTheNext) {
  Config keeps = config("heat");
  keeps.policy.learned = path_;
  {
    const auto space = open_space(keeps);
    EXPECT_EQ(space->stats().learned.substr(0, 7), "fresh: ") << "there is no file yet";
    use(*space);
  }
  const std::string first = content();
  EXPECT_FALSE(first.empty());
  {
    const auto space = open_space(keeps);
    EXPECT_EQ(space->stats().learned, "loaded");
    use(*space);
  }
  EXPECT_NE(content(), first) << "it learned on";
}

TEST_F(LearnedTest, ADamagedFileIsRefusedAndTheSpaceServesAllTheSame) {
  std::ofstream(path_) << "not what was saved";
  Config keeps = config("heat");
  keeps.policy.learned = path_;
  const auto space = open_space(keeps);
  const std::string learned = space->stats().learned;
  EXPECT_NE(learned.find(path_), std::string::npos) << learned;
  EXPECT_NE(learned.find("not a file of learned tables"), std::string::npos) << learned;
  std::string why;
  EXPECT_EQ(space->load_learned(path_, &why).code(), Code::kCorrupt);
  use(*space);
  EXPECT_TRUE(space->settle(10s).ok());
}

TEST_F(LearnedTest, AMissingFileOrFolderIsNamed) {
  const auto space = open_space(config("heat"));
  std::string why;
  EXPECT_EQ(space->load_learned(path_, &why).code(), Code::kNotFound);
  EXPECT_NE(why.find(path_), std::string::npos);
  EXPECT_EQ(space->save_learned(path_ + "/no/such", &why).code(), Code::kIo);
  EXPECT_NE(why.find("cannot be written"), std::string::npos) << why;
}

TEST_F(LearnedTest, APolicyThatLearnsNothingSaysSo) {
  const auto space = open_space(config("lru"));
  std::string why;
  EXPECT_EQ(space->save_learned(path_, &why).code(), Code::kUnsupported);
  EXPECT_TRUE(content().empty());
  std::ofstream(path_) << "something";
  EXPECT_EQ(space->load_learned(path_, &why).code(), Code::kUnsupported);
}

}  // namespace
}  // namespace kelvin::testing

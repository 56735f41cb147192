// Report pages in a real browser, without a window: runs report_browser_test.py, which says what it looks at.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>

namespace kelvin {
namespace {

constexpr int kSkip = 77;

TEST(ReportInABrowser, ShowsEveryPlotInLightAndDarkOnADesktopAndAPhone) {
  if (std::string(KELVIN_PYTHON).empty()) GTEST_SKIP() << "no python3 to drive a browser with";
  const std::string command =
      "'" KELVIN_PYTHON "' '" KELVIN_SOURCE_DIR "/tests/report_browser_test.py' '" KELVIN_COMMAND "' 2>&1";
  std::FILE* pipe = ::popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  std::string output;
  std::array<char, 4096> piece{};
  for (std::size_t got = 0; (got = std::fread(piece.data(), 1, piece.size(), pipe)) > 0;) {
    output.append(piece.data(), got);
  }
  const int status = ::pclose(pipe);
  ASSERT_TRUE(WIFEXITED(status)) << output;
  if (WEXITSTATUS(status) == kSkip) GTEST_SKIP() << output;
  EXPECT_EQ(WEXITSTATUS(status), 0) << output;
}

}  // namespace
}  // namespace kelvin

// See progress.h.
#include "cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>

namespace kelvin::cli {
namespace {

constexpr auto kEvery = std::chrono::milliseconds(200);
constexpr const char* kWipe = "\r\x1b[K";

std::string duration(double seconds) {
  const auto whole = static_cast<std::uint64_t>(std::llround(seconds));
  return whole < 3600 ? fmt::format("{}:{:02}", whole / 60, whole % 60)
                      : fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

}  // namespace

std::string progress_line(const ProgressState& state, double seconds) {
  const double ratio = state.referenced == 0
                           ? 0
                           : 100.0 * static_cast<double>(state.hit) / static_cast<double>(state.referenced);
  std::string line = fmt::format("{} requests  {:.1f} % hit  {:.1f} GB moved  {}", state.requests, ratio,
                                 static_cast<double>(state.bytes_moved) / 1e9, duration(seconds));
  if (state.fraction > 0 && state.fraction <= 1) {
    line += fmt::format("  ETA {}", duration(seconds * (1 - state.fraction) / state.fraction));
  }
  return line;
}

std::string progress_line(std::size_t done, std::size_t planned, std::string_view what, double seconds) {
  std::string line = fmt::format("{} of {} {}  {}", done, planned, what, duration(seconds));
  if (done > 0 && done < planned) {
    const double each = seconds / static_cast<double>(done);
    line += fmt::format("  ETA {}", duration(each * static_cast<double>(planned - done)));
  }
  return line;
}

Progress::Progress(std::FILE* stream)
    : stream_(stream),
      terminal_(::isatty(::fileno(stream)) == 1),
      start_(Clock::now()),
      next_(start_ + kEvery) {}

Progress::~Progress() {
  if (!shown_) return;
  std::fputs(kWipe, stream_);
  std::fflush(stream_);
}

bool Progress::due() noexcept { return terminal_ && Clock::now() >= next_; }

void Progress::show(const ProgressState& state) {
  if (!terminal_) return;
  const auto now = Clock::now();
  write(progress_line(state, seconds(now)), now);
}

void Progress::show(std::size_t done, std::size_t planned, std::string_view what) {
  if (!terminal_) return;
  const auto now = Clock::now();
  write(progress_line(done, planned, what, seconds(now)), now);
}

void Progress::write(const std::string& line, Clock::time_point now) {
  next_ = now + kEvery;
  shown_ = true;
  std::fputs(kWipe, stream_);
  std::fputs(line.c_str(), stream_);
  std::fflush(stream_);
}

}  // namespace kelvin::cli

// One line on a terminal that says how far a command is; nothing at all anywhere else.
//
// Thread contract: one thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace kelvin::cli {

struct ProgressState {
  std::uint64_t requests = 0;
  std::uint64_t referenced = 0;
  std::uint64_t hit = 0;
  std::uint64_t bytes_moved = 0;
  double fraction = -1;  // done of the whole, 0..1; negative: not known
};

// Without the carriage return around it.
std::string progress_line(const ProgressState& state, double seconds);
// The same of simulations, `done` of `planned`: "12 of 64 settings  0:30  ETA 2:10".
std::string progress_line(std::size_t done, std::size_t planned, std::string_view what, double seconds);

class Progress {
 public:
  explicit Progress(std::FILE* stream);
  ~Progress();  // wipes the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // True when a new line should be shown: collecting a state costs something. Never true off a terminal.
  bool due() noexcept;
  void show(const ProgressState& state);
  void show(std::size_t done, std::size_t planned, std::string_view what);

 private:
  using Clock = std::chrono::steady_clock;

  void write(const std::string& line, Clock::time_point now);
  double seconds(Clock::time_point now) const { return std::chrono::duration<double>(now - start_).count(); }

  std::FILE* const stream_;
  const bool terminal_;
  const Clock::time_point start_;
  Clock::time_point next_;
  bool shown_ = false;
};

}  // namespace kelvin::cli

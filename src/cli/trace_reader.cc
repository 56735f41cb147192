// Lines out of a byte source, requests out of lines. See trace.h.
#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "cli/trace.h"

namespace kelvin::cli {
namespace {

constexpr std::size_t kReadBytes = std::size_t{128} << 10;

bool blank(std::string_view line) noexcept {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

}  // namespace

Result<std::unique_ptr<TraceReader>> TraceReader::open(const std::string& path, std::string* why) {
  auto source = ByteSource::open(path, why);
  if (!source.ok()) return source.status();
  return std::make_unique<TraceReader>(std::move(*source), path == "-" ? "standard input" : path);
}

TraceReader::TraceReader(std::unique_ptr<ByteSource> source, std::string name)
    : source_(std::move(source)), name_(std::move(name)) {}

double TraceReader::progress() const noexcept {
  if (source_->stored_bytes() == 0) return -1;
  return std::min(1.0,
                  static_cast<double>(source_->consumed()) / static_cast<double>(source_->stored_bytes()));
}

Status TraceReader::fail(Code code, std::string* why, const std::string& what) {
  failed_ = true;
  *why = name_ + ":" + std::to_string(line_) + ": " + what;
  return {code, "reading a trace"};
}

// Hands out a view of the buffer, valid until the next call.
Result<bool> TraceReader::next_line(std::string_view& line, std::string* why) {
  std::size_t searched = 0;
  for (;;) {
    const std::size_t held = end_ - begin_;
    const void* newline =
        held == searched ? nullptr : std::memchr(buffer_.data() + begin_ + searched, '\n', held - searched);
    if (newline != nullptr || (ended_ && held > 0)) {
      const std::size_t length =
          newline == nullptr
              ? held
              : static_cast<std::size_t>(static_cast<const char*>(newline) - buffer_.data()) - begin_;
      line = std::string_view(buffer_.data() + begin_, length);
      begin_ += length + (newline == nullptr ? 0 : 1);
      ++line_;
      return true;
    }
    if (ended_) return false;
    searched = held;
    if (held >= kMaxLineBytes) {
      ++line_;
      return fail(Code::kInvalid, why, "line is longer than 64 MiB; is this a trace of JSON lines?");
    }
    if (begin_ > 0) {
      std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_),
                buffer_.begin() + static_cast<std::ptrdiff_t>(end_), buffer_.begin());
      end_ = held;
      begin_ = 0;
    }
    if (buffer_.size() < end_ + kReadBytes) buffer_.resize(std::max(end_ + kReadBytes, buffer_.size() * 2));
    std::string what;
    auto got = source_->read(std::span(buffer_).subspan(end_), &what);
    if (!got.ok()) {
      ++line_;
      return fail(got.status().code(), why, what);
    }
    ended_ = *got == 0;
    end_ += *got;
  }
}

Result<bool> TraceReader::next(Request& request, std::string* why) {
  if (failed_) return false;
  try {
    std::string_view line;
    do {
      auto more = next_line(line, why);
      if (!more.ok()) return more.status();
      if (!*more) {
        if (requests_ > 0) return false;
        failed_ = true;
        *why = name_ + ": holds no request; a trace is one JSON object a line";
        return Status(Code::kInvalid, "reading a trace");
      }
    } while (blank(line));
    std::string what;
    if (Status status = parse_request(line, request, &what); !status.ok()) {
      return fail(status.code(), why, what);
    }
  } catch (const std::bad_alloc&) {
    return fail(Code::kFull, why, "out of memory");
  }
  ++requests_;
  return true;
}

}  // namespace kelvin::cli

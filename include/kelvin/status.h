// Status and Result: how every fallible call of Kelvin answers.
//
// Thread contract: values; no shared state.
// Invariants:
//   1. A Status is 16 bytes and trivially copyable: making or returning one never allocates.
//   2. `context()` points to a string of static storage duration.
//   3. A Result holds a value exactly when its status is ok.
#pragma once

#include <cassert>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace kelvin {

// What went wrong, as far as a caller can act on it.
enum class Code : std::uint8_t {
  kOk = 0,
  kInvalid,      // the input is wrong (config, trace, argument); mend it and call again
  kMisuse,       // the API was used against its contract (released twice, a foreign tier, ...)
  kNotFound,     // no such block, tier or file
  kFull,         // a hard capacity is reached and nothing there may be dropped now
  kBusy,         // cannot be done now, but later: moves are under way, a queue is full
  kTimeout,      // the deadline passed; the work goes on
  kCanceled,     // given up at shutdown or by the caller
  kIo,           // a device answered with an error (`native()` is its errno)
  kCorrupt,      // bytes do not match their checksum or key
  kUnavailable,  // the device, driver or peer is gone
  kUnsupported,  // this machine or this build lacks what is asked for
};

// The name of a code, for messages: "invalid", "full", ...
constexpr const char* code_name(Code code) noexcept {
  switch (code) {
    case Code::kOk: return "ok";
    case Code::kInvalid: return "invalid";
    case Code::kMisuse: return "misuse";
    case Code::kNotFound: return "not found";
    case Code::kFull: return "full";
    case Code::kBusy: return "busy";
    case Code::kTimeout: return "timeout";
    case Code::kCanceled: return "canceled";
    case Code::kIo: return "I/O error";
    case Code::kCorrupt: return "corrupt";
    case Code::kUnavailable: return "unavailable";
    case Code::kUnsupported: return "unsupported";
  }
  return "unknown";
}

class [[nodiscard]] Status {
 public:
  constexpr Status() noexcept = default;  // ok

  // `context`: what was being done, a string literal. `native`: an errno or driver code, 0 if none.
  constexpr Status(Code code, const char* context, std::int32_t native = 0) noexcept
      : context_(context), native_(native), code_(code) {}

  constexpr bool ok() const noexcept { return code_ == Code::kOk; }
  constexpr Code code() const noexcept { return code_; }
  constexpr std::int32_t native() const noexcept { return native_; }
  constexpr const char* context() const noexcept { return context_; }

  // For a person: "corrupt: reading a block from nvme (errno 5, Input/output error)". Allocates.
  std::string message() const;

 private:
  const char* context_ = "";
  std::int32_t native_ = 0;
  Code code_ = Code::kOk;
};

static_assert(sizeof(Status) == 16);
static_assert(std::is_trivially_copyable_v<Status>);

// A value, or the Status that says why there is none.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}                      // NOLINT(*-explicit-*)
  Result(Status status) : status_(status) { assert(!status.ok()); }  // NOLINT(*-explicit-*)

  bool ok() const noexcept { return value_.has_value(); }
  Status status() const noexcept { return status_; }

  // Precondition of all below: ok().
  T& value() & noexcept { return *value_; }
  const T& value() const& noexcept { return *value_; }
  T&& value() && noexcept { return std::move(*value_); }
  T& operator*() & noexcept { return *value_; }
  const T& operator*() const& noexcept { return *value_; }
  T* operator->() noexcept { return &*value_; }
  const T* operator->() const noexcept { return &*value_; }

 private:
  Status status_;
  std::optional<T> value_;
};

}  // namespace kelvin

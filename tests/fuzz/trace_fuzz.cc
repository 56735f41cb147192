// Any bytes as a trace: the reader answers with requests or with a reason, and what it took it writes and
// reads back the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "cli/trace.h"

namespace {

using kelvin::cli::ByteSource;
using kelvin::cli::Request;
using kelvin::cli::TraceReader;

void require(bool holds) {
  if (!holds) std::abort();
}

void require_round_trip(const Request& request) {
  std::string line;
  kelvin::cli::append_request(request, line);
  Request again;
  std::string why;
  require(kelvin::cli::parse_request(line, again, &why).ok());
  require(again.timestamp_ms == request.timestamp_ms && again.input_tokens == request.input_tokens &&
          again.output_tokens == request.output_tokens && again.finish == request.finish &&
          again.session == request.session && again.hash_ids == request.hash_ids);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  TraceReader reader(ByteSource::from_memory(bytes), "fuzz");
  Request request;
  std::string why;
  for (;;) {
    const auto more = reader.next(request, &why);
    require(more.ok() || !why.empty());
    if (!more.ok() || !*more) return 0;
    require_round_trip(request);
  }
}

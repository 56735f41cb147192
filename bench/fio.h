// The peer of a move to or from a drive: fio, run as a process of its own, with io_uring and O_DIRECT.
//
// Thread contract: the main thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace kelvin::bench {

struct FioJob {
  std::string file;  // must exist; bytes [offset, offset + bytes) are read, or overwritten
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint64_t block_bytes = 0;
  std::uint32_t depth = 1;
  bool write = false;
};

struct FioResult {
  double bytes_per_second = 0;
  double cpu_ms_a_gb = 0;  // user and system
};

// "fio-3.33"; empty: fio is not installed.
std::string fio_version();

// Runs one sequential pass. Nothing: fio failed, and said why on stderr.
std::optional<FioResult> run_fio(const FioJob& job);

}  // namespace kelvin::bench

// cuFile without a GPU: the calls of tiers/hbm/gds/cufile.h over files and host memory, which plays a GPU's,
// with errors, short reads and delays on demand. Tests load it in place of libcufile.so.0.
//
// It is stricter than cuFile: everything is whole pages, nothing is registered twice, and what is given back
// is not in use. Each breach counts (Seen::breaches).
//
// Thread contract: the script is set while nothing else is called; the rest from any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "tiers/hbm/gds/cufile.h"

namespace kelvin::fake_cufile {

struct Script {
  int version = 1140;
  unsigned supports = hbm::cufile::kSupportsNvme;
  unsigned features = 0;
  int open = 0;  // what opening the driver is answered
  int register_file = 0;
  int register_memory = 0;

  // Reads end with this errno, or this cufile::Error, so many times, after the first `spared`; of this file
  // and at this offset alone, if they are named.
  int read_errno = 0;
  int read_error = 0;
  int spared = 0;
  int times = 1 << 30;
  int only_descriptor = -1;
  std::int64_t only_offset = -1;

  std::uint64_t most_bytes = 0;        // that a read gives; 0: all
  std::chrono::microseconds delay{0};  // of each read
};

// What tests want to know.
struct Seen {
  std::atomic<std::uint64_t> reads{0};
  std::atomic<std::uint64_t> bytes{0};
  std::atomic<std::uint64_t> into_registered{0};  // reads
  std::atomic<std::int64_t> running{0};           // reads, held ones too
  std::atomic<std::int64_t> files{0};             // registered now
  std::atomic<std::int64_t> memories{0};          // likewise
  std::atomic<std::uint64_t> breaches{0};
};

// The library's own controls, by dlsym.
using ResetCall = void (*)(const Script*);   // "fake_cufile_reset"
using ChangeCall = void (*)(const Script*);  // "fake_cufile_change": the script; what is registered stays
using SeenCall = Seen* (*)();                // "fake_cufile_seen"
using HoldCall = void (*)(bool);             // "fake_cufile_hold": reads wait while they are held

}  // namespace kelvin::fake_cufile

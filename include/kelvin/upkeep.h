// Upkeep: looking after what a persistent tier keeps on its devices, while no space uses them.
//
// Thread contract: pure functions of what lies on the device, which they lock while they run: kBusy where a
// space or another process uses it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "kelvin/status.h"

namespace kelvin {

// What one file or device holds.
struct VolumeReport {
  std::string path;
  std::string uuid;  // of its format
  std::uint32_t version = 0;
  std::string model;
  std::uint64_t layout = 0;  // fingerprint
  std::uint64_t block_bytes = 0;
  std::uint32_t block_tokens = 0;
  std::uint32_t slots = 0;
  std::uint64_t bytes = 0;  // in all: a tier's capacity, as far as this device is its part
  std::uint32_t member = 0;
  std::uint32_t members = 1;
  bool scratch = false;     // blocks end with the process
  bool clean = false;       // closed in order, or scratch
  std::uint32_t owner = 0;  // process id of its last user

  std::uint32_t used = 0;             // slots with a block
  std::uint32_t damaged_records = 0;  // entries of the slot table that do not verify
  std::uint32_t checked = 0;          // blocks whose bytes were read
  std::uint32_t wrong = 0;            // of these, not what their checksum says: overwritten, torn or rotten
  std::uint32_t unreadable = 0;       // of these, the device answered with an error
  std::uint32_t forgotten = 0;        // wrong and unreadable ones taken out of the table
};

struct CheckRequest {
  std::string path;
  bool repair = true;                  // forget what is wrong or unreadable
  std::uint64_t bytes_per_second = 0;  // read no faster; 0 = as fast as it goes
  // Called now and then with the blocks read so far and in all; false: stop here. May be empty.
  std::function<bool(std::uint32_t done, std::uint32_t all)> progress;
};

// What a kind of tier has to look after its devices. On failure `why` (never null) says what to mend.
struct Upkeep {
  std::string_view kind;

  // Gives up whatever `path` holds: the next space that opens it finds it empty.
  Status (*format)(const std::string& path, std::string* why);

  // Fills in what the superblock and the slot table say. kNotFound: it holds nothing yet.
  Status (*inspect)(const std::string& path, VolumeReport* report, std::string* why);

  // The same, and reads every block and compares its checksum. What is wrong is not a failure of the call.
  // kCanceled: `progress` ended it.
  Status (*check)(const CheckRequest& request, VolumeReport* report, std::string* why);
};

}  // namespace kelvin

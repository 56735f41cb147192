// A file of a benchmark that goes away with it.
//
// Thread contract: one thread.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <string>
#include <system_error>

namespace kelvin::bench {

class ScratchFile {
 public:
  // Of its own for this process; what is to lie there is somebody else's to make.
  ScratchFile(const std::string& dir, const std::string& name)
      : path_((std::filesystem::path(dir) / (name + "." + std::to_string(::getpid()))).string()) {}
  ~ScratchFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace kelvin::bench

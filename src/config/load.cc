// load_config: reads a config file, from a disk or a pipe.
//
// Thread contract: pure but for reading the file.
#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <new>
#include <system_error>

#include "base/format_text.h"
#include "config/document.h"
#include "kelvin/config.h"

namespace kelvin {
namespace {

struct Close {
  void operator()(std::FILE* file) const noexcept { static_cast<void>(std::fclose(file)); }
};

Status failed(const char* context, const std::string& path, int error, std::string* why) {
  if (why != nullptr) {
    *why = format_text("{}: {}: {}", path, context, std::generic_category().message(error));
  }
  return {error == ENOENT ? Code::kNotFound : Code::kIo, context, error};
}

// Reads on past the longest text allowed by a byte at most: parse_config then says that it is too long.
Status read_file(const std::string& path, std::string& text, std::string* why) {
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "rbe"));
  if (file == nullptr) return failed("opening the config", path, errno, why);
  std::array<char, 16384> piece;
  while (text.size() <= config::kMaxTextBytes) {
    const std::size_t got = std::fread(piece.data(), 1, piece.size(), file.get());
    if (got == 0) break;
    text.append(piece.data(), got);
  }
  if (std::ferror(file.get()) != 0) return failed("reading the config", path, errno, why);
  return {};
}

}  // namespace

Result<Config> load_config(const std::string& path, std::string* why) {
  try {
    std::string text;
    const Status status = read_file(path, text, why);
    if (!status.ok()) return status;
    return parse_config(text, path, why);
  } catch (const std::bad_alloc&) {
    return Status(Code::kFull, "out of memory while reading a config file");
  }
}

}  // namespace kelvin

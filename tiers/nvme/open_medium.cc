// See open_medium.h.
#include "tiers/nvme/open_medium.h"

#include <sys/stat.h>

#include <filesystem>
#include <utility>

#include "base/format_text.h"
#include "tiers/nvme/block_medium.h"
#include "tiers/nvme/char_medium.h"
#include "tiers/nvme/errors.h"
#include "tiers/nvme/file_medium.h"
#include "tiers/nvme/signature.h"

namespace kelvin::nvme {
namespace {

template <class T>
Result<std::unique_ptr<Medium>> as_medium(Result<std::unique_ptr<T>> opened) {
  if (!opened.ok()) return opened.status();
  return Result<std::unique_ptr<Medium>>(std::move(opened).value());
}

bool among_devices(const std::string& path) {
  std::error_code error;
  const std::string real = std::filesystem::weakly_canonical(path, error).string();
  return real.starts_with("/dev/") && !real.starts_with("/dev/shm/");
}

Result<std::unique_ptr<Medium>> open_unseen(const MediumConfig& config, std::string* why) {
  struct stat found {};
  const bool there = ::stat(config.path.c_str(), &found) == 0;
  if (there && S_ISBLK(found.st_mode)) return as_medium(BlockMedium::open(config, why));
  if (there && S_ISCHR(found.st_mode)) return as_medium(CharMedium::open(config, why));
  if (!there && among_devices(config.path)) {
    // Else a slip of the pen would make a file there, in memory.
    return refuse({Code::kInvalid, "opening a device"}, why,
                  config.path + ": there is no such device: name one that exists (lsblk lists them)");
  }
  return as_medium(FileMedium::open(config, why));
}

}  // namespace

Result<std::unique_ptr<Medium>> open_medium(const MediumConfig& config, std::string* why) {
  auto medium = open_unseen(config, why);
  if (!medium.ok() || (*medium)->info().kind == MediumKind::kFile) return medium;
  const auto holds = foreign_content(**medium, why);
  if (!holds.ok()) return holds.status();
  if (holds->empty()) return medium;
  return refuse({Code::kInvalid, "opening a device"}, why,
                format_text("{0}: holds {1}, and is left as it is: choose another path, or give up what is "
                            "there with `kelvin nvme format {0} --yes`",
                            config.path, *holds));
}

Result<std::unique_ptr<Medium>> open_medium_to_format(const MediumConfig& config, std::string* holds,
                                                      std::string* why) {
  auto medium = open_unseen(config, why);
  if (!medium.ok()) return medium;
  auto found = foreign_content(**medium, why);
  if (!found.ok()) return found.status();
  *holds = std::move(found).value();
  return medium;
}

}  // namespace kelvin::nvme

// See stripe.h.
#include "tiers/nvme/stripe.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "base/format_text.h"
#include "tiers/nvme/bulk_read.h"
#include "tiers/nvme/errors.h"
#include "tiers/nvme/open_medium.h"

namespace kelvin::nvme {
namespace {

constexpr const char* kOpening = "opening the devices of an nvme tier";

// By member, as named in the config; empty: it holds no blocks that could be lost.
using Superblocks = std::vector<std::optional<Superblock>>;

Status invalid(std::string* why, std::string text) {
  return refuse({Code::kInvalid, kOpening}, why, std::move(text));
}

Status check_paths(std::span<const std::string> paths, std::string* why) {
  std::vector<std::string> seen;
  for (const std::string& path : paths) {
    std::error_code error;
    std::string name = std::filesystem::weakly_canonical(path, error).string();
    if (error) name = path;
    if (std::ranges::find(seen, name) != seen.end()) {
      return invalid(why,
                     format_text("{}: is named twice in the path of one tier: name each device once", path));
    }
    seen.push_back(std::move(name));
  }
  return {};
}

Result<Superblocks> look_at(const Media& media, std::string* why) {
  Superblocks pages;
  for (const auto& medium : media) {
    Superblock page;
    const Status s = read_superblock(*medium, &page, why);
    if (!s.ok() && s.code() != Code::kNotFound) return s;
    const bool used = s.ok() && !page.geometry().scratch;
    pages.push_back(used ? std::optional(page) : std::nullopt);
  }
  return pages;
}

// Whether no slot of its holds a block.
Result<bool> empty(Medium& medium, const Superblock& page, std::string* why) {
  if (medium.info().bytes < page.data_offset) return false;
  auto table = SlotTable::make(page);
  if (!table.ok()) return table.status();
  if (const Status s = bulk_read(medium, kTableOffset, (*table)->pages(), why); !s.ok()) return s;
  const SlotTable::Found found = (*table)->verify();
  return found.used == 0 && found.damaged == 0;
}

// Killed while a set is made, only its first members have superblocks, and none of these a block: there is
// nothing to lose, and the set is made anew.
Status forgive_unfinished(const Media& media, Superblocks* pages, std::string* why) {
  const auto blank = std::ranges::find_if(*pages, [](const auto& page) { return !page.has_value(); });
  const auto used = static_cast<std::size_t>(blank - pages->begin());
  if (used == 0 || used == media.size()) return {};
  for (std::size_t i = 0; i < media.size(); ++i) {
    const std::optional<Superblock>& page = (*pages)[i];
    if (page.has_value() != (i < used)) return {};
    if (i >= used) continue;
    if (page->member != i || page->members != media.size() || page->set != pages->front()->set) return {};
    const auto nothing = empty(*media[i], *page, why);
    if (!nothing.ok()) return nothing.status();
    if (!*nothing) return {};
  }
  for (auto& page : *pages) page.reset();
  return {};
}

// "a, b" of those that hold blocks, or that hold none.
std::string names(std::span<const std::string> paths, const Superblocks& pages, bool used) {
  std::string list;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    if (pages[i].has_value() == used) list += (list.empty() ? "" : ", ") + paths[i];
  }
  return list;
}

Status wrong_set(std::span<const std::string> paths, const Superblocks& pages, std::size_t other,
                 std::string* why) {
  return invalid(why,
                 format_text("{}: belongs to another tier than {} (set {}, not {}): name devices that were "
                             "made together, or give the blocks of all up with `kelvin nvme format`",
                             paths[other], paths[0], uuid_text(pages[other]->set), uuid_text(pages[0]->set)));
}

Status wrong_count(std::span<const std::string> paths, const Superblocks& pages, std::string* why) {
  const std::uint32_t members = pages[0]->members;
  constexpr std::uint32_t kListed = 8;  // a superblock may claim billions
  std::string missing;
  for (std::uint32_t member = 0, listed = 0; member < members; ++member) {
    if (std::ranges::any_of(pages, [&](const auto& page) { return page->member == member; })) continue;
    if (listed++ == kListed) {
      missing += " and others";
      break;
    }
    missing += (missing.empty() ? "" : ", ") + format_text("number {}", member + 1);
  }
  return invalid(why,
                 format_text("{}: is number {} of {} devices of its tier, and {} named, without {}: name all "
                             "of them in their order, or give their blocks up with `kelvin nvme format`",
                             paths[0], pages[0]->member + 1, members,
                             paths.size() == 1 ? "it alone is" : format_text("{} are", paths.size()),
                             missing.empty() ? "need" : missing));
}

Status wrong_order(std::span<const std::string> paths, const Superblocks& pages, std::string* why) {
  std::vector<std::string> order(paths.size());
  std::string wrong;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    std::string& place = order[pages[i]->member];
    if (!place.empty()) {
      return invalid(why,
                     format_text("{}: is a copy of {}: both are number {} of their tier: name the one that "
                                 "was in use last, and the others of its tier",
                                 paths[i], place, pages[i]->member + 1));
    }
    place = paths[i];
    if (pages[i]->member != i && wrong.empty()) {
      wrong = format_text("{}: is number {} of its tier, and named as number {}", paths[i],
                          pages[i]->member + 1, i + 1);
    }
  }
  if (wrong.empty()) return {};
  std::string list;
  for (const std::string& path : order) list += (list.empty() ? "\"" : ", \"") + path + "\"";
  return invalid(why, format_text("{}: set path = [{}]", wrong, list));
}

// Whether those that hold blocks are all of one tier, in their order.
Status check_members(std::span<const std::string> paths, const Superblocks& pages, std::string* why) {
  const auto used = static_cast<std::size_t>(
      std::ranges::count_if(pages, [](const auto& page) { return page.has_value(); }));
  if (used == 0) return {};
  if (used < paths.size()) {
    return invalid(why,
                   format_text("{}: holds no blocks, though {} does: put the device back that was there, or "
                               "give the blocks of the others up with `kelvin nvme format`",
                               names(paths, pages, false), names(paths, pages, true)));
  }
  for (std::size_t i = 1; i < paths.size(); ++i) {
    if (pages[i]->set != pages[0]->set || pages[i]->members != pages[0]->members) {
      return wrong_set(paths, pages, i, why);
    }
  }
  if (pages[0]->members != paths.size()) return wrong_count(paths, pages, why);
  return wrong_order(paths, pages, why);
}

}  // namespace

Result<std::vector<std::unique_ptr<Volume>>> open_stripe(std::span<const std::string> paths,
                                                         const MediumConfig& medium,
                                                         const VolumeConfig& volume, bool prewrite,
                                                         std::string* why) {
  if (const Status s = check_paths(paths, why); !s.ok()) return s;
  Media media;
  for (const std::string& path : paths) {
    MediumConfig config = medium;
    config.path = path;
    auto opened = open_medium(config, why);
    if (!opened.ok()) return opened.status();
    media.push_back(std::move(opened).value());
  }
  return open_stripe(std::move(media), volume, prewrite, why);
}

Result<std::vector<std::unique_ptr<Volume>>> open_stripe(Media media, const VolumeConfig& volume,
                                                         bool prewrite, std::string* why) {
  std::vector<std::string> paths;
  for (const auto& medium : media) paths.push_back(medium->info().path);
  auto pages = look_at(media, why);
  if (!pages.ok()) return pages.status();
  if (const Status s = forgive_unfinished(media, &*pages, why); !s.ok()) return s;
  if (const Status s = check_members(paths, *pages, why); !s.ok()) return s;

  VolumeConfig config = volume;
  config.set = random_uuid();
  config.members = static_cast<std::uint32_t>(paths.size());
  std::vector<Content> contents;
  for (config.member = 0; config.member < config.members; ++config.member) {
    contents.push_back(Content::kNothing);
    if (!(*pages)[config.member].has_value()) continue;
    const auto content = examine(*media[config.member], config, why);
    if (!content.ok()) return content.status();
    contents.back() = *content;
  }
  for (std::size_t i = 0; i < media.size(); ++i) {
    const bool fresh = contents[i] == Content::kNothing;
    const Status s = media[i]->reserve(config.geometry.bytes(), fresh && prewrite, why);
    if (!s.ok()) return s;
  }
  std::vector<std::unique_ptr<Volume>> volumes;
  for (config.member = 0; config.member < config.members; ++config.member) {
    auto opened = Volume::open(std::move(media[config.member]), config, contents[config.member], why);
    if (!opened.ok()) return opened.status();
    volumes.push_back(std::move(opened).value());
  }
  return volumes;
}

}  // namespace kelvin::nvme

// See machine.h.
#include "tests/fake_cufile/machine.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>

namespace kelvin::fake_cufile {
namespace {

namespace cufile = hbm::cufile;

constexpr std::size_t kPage = 4096;

bool whole_pages(std::uintptr_t value) { return value % kPage == 0; }
std::uintptr_t number(const void* at) { return reinterpret_cast<std::uintptr_t>(at); }

struct FreeMemory {
  void operator()(void* memory) const { std::free(memory); }
};

}  // namespace

// Never ends: threads of links may outlive main.
Machine& Machine::only() {
  static Machine& machine = *new Machine();
  return machine;
}

void Machine::reset(const Script& script) {
  const std::lock_guard lock(mu_);
  script_ = script;
  held_ = false;
  files_.clear();
  memories_.clear();
  seen.reads = seen.bytes = seen.into_registered = seen.breaches = 0;
  seen.running = seen.files = seen.memories = 0;
}

void Machine::change(const Script& script) {
  const std::lock_guard lock(mu_);
  script_ = script;
}

void Machine::hold(bool held) {
  {
    const std::lock_guard lock(mu_);
    held_ = held;
  }
  released_.notify_all();
}

cufile::Answer Machine::add_file(cufile::Handle* handle, int descriptor) {
  const std::lock_guard lock(mu_);
  if (script_.register_file != 0) return {script_.register_file, 0};
  for (const auto& [known, file] : files_) {
    if (file.descriptor != descriptor) continue;
    breach();
    return {cufile::kHandleAlreadyRegistered, 0};
  }
  *handle = reinterpret_cast<cufile::Handle>(++last_handle_ * kPage);
  files_[*handle].descriptor = descriptor;
  ++seen.files;
  return {};
}

void Machine::remove_file(cufile::Handle handle) {
  const std::lock_guard lock(mu_);
  const auto found = files_.find(handle);
  if (found == files_.end() || found->second.reading != 0) breach();
  if (found == files_.end()) return;
  files_.erase(found);
  --seen.files;
}

cufile::Answer Machine::add_memory(const void* base, std::size_t bytes) {
  const std::lock_guard lock(mu_);
  if (script_.register_memory != 0) return {script_.register_memory, 0};
  if (!memories_.emplace(number(base), bytes).second) {
    breach();
    return {cufile::kMemoryAlreadyRegistered, 0};
  }
  ++seen.memories;
  return {};
}

cufile::Answer Machine::remove_memory(const void* base) {
  const std::lock_guard lock(mu_);
  if (memories_.erase(number(base)) == 0) {
    breach();
    return {cufile::kMemoryNotRegistered, 0};
  }
  --seen.memories;
  return {};
}

// The descriptor to read from; -1: `error` is what the caller is answered.
int Machine::begin_read(cufile::Handle handle, const void* base, std::size_t bytes, off_t from, off_t to,
                        int* error) {
  std::unique_lock lock(mu_);
  ++seen.reads;
  const auto found = files_.find(handle);
  const auto memory = memories_.find(number(base));
  const auto end = static_cast<std::size_t>(to) + bytes;
  const bool fits = memory == memories_.end() ? to == 0 : end <= memory->second;
  if (found == files_.end() || !fits || bytes == 0 || !whole_pages(bytes) ||
      !whole_pages(static_cast<std::uintptr_t>(from)) ||
      !whole_pages(number(base) + static_cast<std::size_t>(to))) {
    breach();
    *error = -cufile::kInvalidValue;
    return -1;
  }
  if (memory != memories_.end()) ++seen.into_registered;
  ++found->second.reading;
  ++seen.running;
  released_.wait(lock, [this] { return !held_; });
  const bool fails = (script_.read_errno != 0 || script_.read_error != 0) &&
                     (script_.only_descriptor < 0 || script_.only_descriptor == found->second.descriptor) &&
                     (script_.only_offset < 0 || script_.only_offset == from) && script_.spared-- <= 0 &&
                     script_.times-- > 0;
  if (!fails) return found->second.descriptor;
  *error = script_.read_error != 0 ? -script_.read_error : -1;
  errno = script_.read_errno;
  --found->second.reading;
  --seen.running;
  return -1;
}

ssize_t Machine::carry(int descriptor, std::byte* to, std::size_t bytes, off_t from) const {
  if (script_.most_bytes != 0) bytes = std::min<std::size_t>(bytes, script_.most_bytes);
  const std::size_t room = (bytes + kPage - 1) / kPage * kPage;
  const std::unique_ptr<void, FreeMemory> buffer(std::aligned_alloc(kPage, room));
  const ssize_t n = ::pread(descriptor, buffer.get(), room, from);
  if (n <= 0) return n;
  const auto some = std::min(bytes, static_cast<std::size_t>(n));
  std::memcpy(to, buffer.get(), some);
  return static_cast<ssize_t>(some);
}

ssize_t Machine::read(cufile::Handle handle, void* base, std::size_t bytes, off_t from, off_t to) {
  int error = 0;
  const int descriptor = begin_read(handle, base, bytes, from, to, &error);
  if (descriptor < 0) return error;
  if (script_.delay.count() != 0) std::this_thread::sleep_for(script_.delay);
  const ssize_t n = carry(descriptor, static_cast<std::byte*>(base) + to, bytes, from);
  if (n > 0) seen.bytes += static_cast<std::uint64_t>(n);
  const std::lock_guard lock(mu_);
  --files_[handle].reading;
  --seen.running;
  return n;
}

}  // namespace kelvin::fake_cufile

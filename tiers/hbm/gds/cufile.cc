// See cufile.h.
#include "tiers/hbm/gds/cufile.h"

#include <dlfcn.h>

#include <cerrno>

#include "base/format_text.h"
#include "tiers/hbm/gds/cufile_errors.h"

namespace kelvin::hbm {
namespace {

constexpr const char* kLoading = "loading cuFile";
constexpr const char* kReading = "reading a block by GPUDirect Storage";

bool succeeded(const cufile::Answer& answer) noexcept { return answer.error == 0; }

// `error`: a positive errno.
Status io_status(int error) noexcept {
  switch (error) {
    case EAGAIN:
    case EINTR: return {Code::kBusy, kReading, error};
    case ENXIO:
    case ENODEV:
    case ESHUTDOWN: return {Code::kUnavailable, kReading, error};
    default: return {Code::kIo, kReading, error};
  }
}

Status refused(const cufile::Answer& answer, const char* doing) noexcept {
  return {Code::kUnsupported, doing, answer.error};
}

}  // namespace

Result<std::unique_ptr<CuFile>> CuFile::load(const char* library, std::string* why) {
  // Never closed: it has threads and exit handlers of its own.
  void* handle = ::dlopen(library, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (handle == nullptr) {
    const char* reason = ::dlerror();  // NOLINT(concurrency-mt-unsafe): glibc keeps one a thread
    *why = format_text("there is no cuFile here ({}): install NVIDIA's GPUDirect Storage (libcufile)",
                       reason != nullptr ? reason : library);
    return Status(Code::kUnavailable, kLoading);
  }
  std::unique_ptr<CuFile> made(new CuFile());
  Status status = made->find_calls(handle, why);
  if (status.ok()) status = made->start(why);
  if (!status.ok()) return status;
  return made;
}

Status CuFile::find_calls(void* library, std::string* why) {
#define KELVIN_CUFILE_FIND(ours, theirs, ...)                                                              \
  calls_.ours = reinterpret_cast<decltype(calls_.ours)>(::dlsym(library, #theirs));                        \
  if (calls_.ours == nullptr) {                                                                            \
    *why = "the libcufile.so.0 that was found has no " #theirs ": install GPUDirect Storage 1.0 or newer"; \
    return {Code::kUnavailable, kLoading};                                                                 \
  }
  KELVIN_CUFILE_CALLS(KELVIN_CUFILE_FIND)
#undef KELVIN_CUFILE_FIND
  const auto get_version = reinterpret_cast<cufile::Answer (*)(int*)>(::dlsym(library, "cuFileGetVersion"));
  if (get_version != nullptr && !succeeded(get_version(&version_))) version_ = 0;
  return {};
}

Status CuFile::start(std::string* why) {
  cufile::Answer answer = calls_.driver_open();
  // Somebody else's in this process, which is as good.
  if (answer.error == cufile::kDriverAlreadyOpen) answer = {};
  cufile::Properties properties;
  if (succeeded(answer)) answer = calls_.driver_properties(&properties);
  if (!succeeded(answer)) {
    *why = error_text(answer, "opening cuFile's driver");
    return {Code::kUnavailable, kLoading, answer.error};
  }
  constexpr unsigned kLocal =
      cufile::kSupportsNvme | cufile::kSupportsNvmeOverFabrics | cufile::kSupportsPeerToPeer;
  direct_ =
      (properties.driver.supports & kLocal) != 0 || (properties.features & cufile::kFeaturePeerToPeer) != 0;
  return {};
}

std::string CuFile::version() const {
  return version_ == 0 ? std::string() : format_text("{}.{}", version_ / 1000, version_ % 1000 / 10);
}

Result<cufile::Handle> CuFile::acquire_file(int descriptor, std::string* why) {
  const MutexLock lock(mu_);
  const auto found = files_.find(descriptor);
  if (found != files_.end()) {
    ++found->second.users;
    return found->second.handle;
  }
  cufile::Description description;
  description.file.descriptor = descriptor;
  cufile::Handle handle = nullptr;
  if (const cufile::Answer answer = calls_.handle_register(&handle, &description); !succeeded(answer)) {
    *why = error_text(answer, "registering the file");
    return refused(answer, "registering a file with cuFile");
  }
  files_[descriptor] = {handle, 1};
  return handle;
}

void CuFile::release_file(int descriptor) noexcept {
  const MutexLock lock(mu_);
  const auto found = files_.find(descriptor);
  if (found == files_.end() || --found->second.users > 0) return;
  calls_.handle_deregister(found->second.handle);
  files_.erase(found);
}

Status CuFile::acquire_memory(const std::byte* base, std::uint64_t bytes, std::string* why) {
  const MutexLock lock(mu_);
  const auto found = runs_.find(base);
  if (found != runs_.end()) {
    ++found->second;
    return {};
  }
  if (const cufile::Answer answer = calls_.buffer_register(base, bytes, 0); !succeeded(answer)) {
    *why = error_text(answer, format_text("registering {} MiB of GPU memory", bytes >> 20));
    return refused(answer, "registering GPU memory with cuFile");
  }
  runs_[base] = 1;
  return {};
}

void CuFile::release_memory(const std::byte* base) noexcept {
  const MutexLock lock(mu_);
  const auto found = runs_.find(base);
  if (found == runs_.end() || --found->second > 0) return;
  static_cast<void>(calls_.buffer_deregister(base));
  runs_.erase(found);
}

Result<std::uint64_t> CuFile::read(cufile::Handle file, std::uint64_t offset, std::uint64_t bytes,
                                   const ReadTarget& to) const noexcept {
  errno = 0;
  const ssize_t n = calls_.read(file, to.base, bytes, static_cast<off_t>(offset), to.at - to.base);
  if (n >= 0) return static_cast<std::uint64_t>(n);
  if (n == -1) return io_status(errno != 0 ? errno : EIO);
  return Status(Code::kIo, kReading, static_cast<std::int32_t>(-n));
}

Result<CuFile*> open_cufile(std::string* why) {
  struct Only {
    Mutex mu;
    std::unique_ptr<CuFile> library KELVIN_GUARDED_BY(mu);
  };
  static auto* const only = new Only;
  const MutexLock lock(only->mu);
  if (only->library == nullptr) {
    auto made = CuFile::load(kCuFileLibrary, why);
    if (!made.ok()) return made.status();
    only->library = std::move(*made);
  }
  return only->library.get();
}

}  // namespace kelvin::hbm

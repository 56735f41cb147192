// cuFile: NVIDIA's library of GPUDirect Storage, found at run time in libcufile.so.0. It lets a drive write
// what is read from a file into a GPU's memory.
//
// What of it is called is declared here as its documentation describes it, so that nothing of it is needed to
// build. It stays open until the process ends, for others in the process may use it as well.
//
// Thread contract: any thread. acquire_memory and read: threads that have entered the device
// (Device::enter_thread).
// Invariants:
//   1. A file, and a run of memory, is registered once in the process however many acquired it, and no longer
//   after the last of them has released it.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <type_traits>

#include "base/thread_annotations.h"
#include "kelvin/status.h"

namespace kelvin::hbm {

inline constexpr const char* kCuFileLibrary = "libcufile.so.0";

// The library's binary interface, as far as it is used here.
namespace cufile {

struct Answer {   // CUfileError_t
  int error = 0;  // 0, or one of Error
  int cuda_error = 0;
};

enum Error : int {
  kDriverNotInitialized = 5001,
  kDriverVersionMismatch = 5004,
  kPlatformNotSupported = 5007,
  kIoNotSupported = 5008,
  kDeviceNotSupported = 5009,
  kNvfsDriverError = 5010,
  kCudaDriverError = 5011,
  kInvalidMappingSize = 5016,
  kInvalidFileType = 5018,
  kInvalidFileOpenFlag = 5019,
  kDioNotSet = 5020,
  kInvalidValue = 5022,
  kMemoryAlreadyRegistered = 5023,
  kMemoryNotRegistered = 5024,
  kPermissionDenied = 5025,
  kDriverAlreadyOpen = 5026,
  kHandleNotRegistered = 5027,
  kHandleAlreadyRegistered = 5028,
  kInternalError = 5030,
  kNvfsSetupError = 5033,
  kIoDisabled = 5034,
};

struct Description {  // CUfileDescr_t
  int type = 1;       // a file descriptor
  union {
    int descriptor;
    void* pointer;
  } file{};
  const void* operations = nullptr;
};

struct Properties {  // CUfileDrvProps_t
  struct {
    unsigned major_version = 0;
    unsigned minor_version = 0;
    std::size_t poll_threshold = 0;
    std::size_t largest_io = 0;
    unsigned supports = 0;  // a bit for each kind of storage that is read without host memory
    unsigned control = 0;
  } driver;
  unsigned features = 0;
  std::array<unsigned, 61> later{};  // limits that are not used here, and what newer versions add
};

static_assert(sizeof(Answer) == 8 && sizeof(Description) == 24 && offsetof(Properties, features) == 32);

inline constexpr unsigned kSupportsNvme = 1U << 4;
inline constexpr unsigned kSupportsNvmeOverFabrics = 1U << 5;
inline constexpr unsigned kSupportsPeerToPeer = 1U << 11;
inline constexpr unsigned kFeaturePeerToPeer = 1U << 4;

using Handle = void*;

// Our name, its name, its type.
// clang-format off
#define KELVIN_CUFILE_CALLS(call)                                                                  \
  call(driver_open, cuFileDriverOpen, Answer())                                                    \
  call(driver_properties, cuFileDriverGetProperties, Answer(Properties*))                          \
  call(handle_register, cuFileHandleRegister, Answer(Handle*, Description*))                       \
  call(handle_deregister, cuFileHandleDeregister, void(Handle))                                    \
  call(buffer_register, cuFileBufRegister, Answer(const void* base, std::size_t bytes, int flags)) \
  call(buffer_deregister, cuFileBufDeregister, Answer(const void* base))                           \
  call(read, cuFileRead, ssize_t(Handle, void* base, std::size_t bytes, off_t from, off_t to))
// clang-format on

struct Calls {
#define KELVIN_CUFILE_MEMBER(ours, theirs, ...) std::add_pointer_t<__VA_ARGS__> ours = nullptr;
  KELVIN_CUFILE_CALLS(KELVIN_CUFILE_MEMBER)
#undef KELVIN_CUFILE_MEMBER
};

}  // namespace cufile

// Where bytes of a file are to be written: `at` lies in a run that begins at `base`, which is registered, or
// is `at` itself.
struct ReadTarget {
  std::byte* base = nullptr;
  std::byte* at = nullptr;
};

class CuFile {
 public:
  // `library`: a path, or a name for the loader's search. kUnavailable: there is none, one that is too old,
  // or its driver does not open; `why` (never null) says what to do.
  static Result<std::unique_ptr<CuFile>> load(const char* library, std::string* why);

  // Whether drives write to GPUs here. False: only its compatibility mode, which copies through host memory,
  // is to be had.
  bool direct() const noexcept { return direct_; }
  std::string version() const;  // "1.14"; "" where it does not say

  // kUnsupported: the file, its file system or how it was opened does not suit. The descriptor stays the
  // caller's, and open until it is released.
  Result<cufile::Handle> acquire_file(int descriptor, std::string* why);
  void release_file(int descriptor) noexcept;

  // Makes a run of GPU memory known, which spares a copy within the GPU. kUnsupported: it is more than the
  // GPU's window on the bus, or of a kind that drives cannot write to.
  Status acquire_memory(const std::byte* base, std::uint64_t bytes, std::string* why);
  void release_memory(const std::byte* base) noexcept;

  // Reads, and waits for it: how many bytes of the file, of those at `offset`, are at the target now; may be
  // fewer, none at the file's end. kIo (with an errno, or one of cufile::Error), kUnavailable: the drive is
  // gone. kBusy: interrupted; try again.
  Result<std::uint64_t> read(cufile::Handle file, std::uint64_t offset, std::uint64_t bytes,
                             const ReadTarget& to) const noexcept;

 private:
  struct File {
    cufile::Handle handle = nullptr;
    std::uint32_t users = 0;
  };

  CuFile() noexcept = default;
  Status find_calls(void* library, std::string* why);
  Status start(std::string* why);

  // Constant after load.
  cufile::Calls calls_{};
  bool direct_ = false;
  int version_ = 0;  // 1140: 1.14

  Mutex mu_;
  std::map<int, File> files_ KELVIN_GUARDED_BY(mu_);                       // by descriptor
  std::map<const std::byte*, std::uint32_t> runs_ KELVIN_GUARDED_BY(mu_);  // users, by base
};

// The process's only one, loaded by the first caller that finds it; it never ends. As CuFile::load.
Result<CuFile*> open_cufile(std::string* why);

}  // namespace kelvin::hbm

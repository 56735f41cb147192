// What a loader finds in the library: cuFile's calls by their names, and the controls of tests.
#include "tests/fake_cufile/machine.h"

namespace cufile = kelvin::hbm::cufile;
using kelvin::fake_cufile::Machine;

#define KELVIN_FAKE_EXPORT __attribute__((visibility("default")))

KELVIN_FAKE_EXPORT cufile::Answer fake_driver_open() asm("cuFileDriverOpen");
cufile::Answer fake_driver_open() { return Machine::only().open(); }

KELVIN_FAKE_EXPORT cufile::Answer fake_get_version(int* version) asm("cuFileGetVersion");
cufile::Answer fake_get_version(int* version) {
  *version = Machine::only().script().version;
  return {};
}

// As short as the oldest version's, to which later ones only added.
KELVIN_FAKE_EXPORT cufile::Answer fake_properties(cufile::Properties* to) asm("cuFileDriverGetProperties");
cufile::Answer fake_properties(cufile::Properties* to) {
  to->driver.supports = Machine::only().script().supports;
  to->features = Machine::only().script().features;
  return {};
}

KELVIN_FAKE_EXPORT cufile::Answer fake_register(cufile::Handle* handle,
                                                cufile::Description* of) asm("cuFileHandleRegister");
cufile::Answer fake_register(cufile::Handle* handle, cufile::Description* of) {
  if (of->type != 1 || of->operations != nullptr) return {cufile::kInvalidValue, 0};
  return Machine::only().add_file(handle, of->file.descriptor);
}

KELVIN_FAKE_EXPORT void fake_deregister(cufile::Handle handle) asm("cuFileHandleDeregister");
void fake_deregister(cufile::Handle handle) { Machine::only().remove_file(handle); }

KELVIN_FAKE_EXPORT cufile::Answer fake_buffer_register(const void* base, std::size_t bytes,
                                                       int flags) asm("cuFileBufRegister");
cufile::Answer fake_buffer_register(const void* base, std::size_t bytes, int flags) {
  if (flags != 0) return {cufile::kInvalidValue, 0};
  return Machine::only().add_memory(base, bytes);
}

KELVIN_FAKE_EXPORT cufile::Answer fake_buffer_deregister(const void* base) asm("cuFileBufDeregister");
cufile::Answer fake_buffer_deregister(const void* base) { return Machine::only().remove_memory(base); }

KELVIN_FAKE_EXPORT ssize_t fake_read(cufile::Handle handle, void* base, std::size_t bytes, off_t from,
                                     off_t to) asm("cuFileRead");
ssize_t fake_read(cufile::Handle handle, void* base, std::size_t bytes, off_t from, off_t to) {
  return Machine::only().read(handle, base, bytes, from, to);
}

extern "C" KELVIN_FAKE_EXPORT void fake_cufile_reset(const kelvin::fake_cufile::Script* script) {
  Machine::only().reset(*script);
}
extern "C" KELVIN_FAKE_EXPORT void fake_cufile_change(const kelvin::fake_cufile::Script* script) {
  Machine::only().change(*script);
}
extern "C" KELVIN_FAKE_EXPORT kelvin::fake_cufile::Seen* fake_cufile_seen() { return &Machine::only().seen; }
extern "C" KELVIN_FAKE_EXPORT void fake_cufile_hold(bool held) { Machine::only().hold(held); }

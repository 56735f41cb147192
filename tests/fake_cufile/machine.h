// What the pretended calls of cuFile share.
//
// Thread contract: any thread.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>

#include "tests/fake_cufile/fake_cufile.h"

namespace kelvin::fake_cufile {

class Machine {
 public:
  static Machine& only();

  void reset(const Script& script);
  void change(const Script& script);
  void hold(bool held);

  hbm::cufile::Answer open() const { return {script_.open, 0}; }
  const Script& script() const { return script_; }

  hbm::cufile::Answer add_file(hbm::cufile::Handle* handle, int descriptor);
  void remove_file(hbm::cufile::Handle handle);
  hbm::cufile::Answer add_memory(const void* base, std::size_t bytes);
  hbm::cufile::Answer remove_memory(const void* base);
  // As cuFileRead.
  ssize_t read(hbm::cufile::Handle handle, void* base, std::size_t bytes, off_t from, off_t to);

  Seen seen;

 private:
  struct File {
    int descriptor = -1;
    int reading = 0;
  };

  int begin_read(hbm::cufile::Handle handle, const void* base, std::size_t bytes, off_t from, off_t to,
                 int* error);
  ssize_t carry(int descriptor, std::byte* to, std::size_t bytes, off_t from) const;
  void breach() { ++seen.breaches; }

  std::mutex mu_;
  std::condition_variable released_;
  Script script_;
  bool held_ = false;
  std::uintptr_t last_handle_ = 0;
  std::map<hbm::cufile::Handle, File> files_;
  std::map<std::uintptr_t, std::size_t> memories_;
};

}  // namespace kelvin::fake_cufile

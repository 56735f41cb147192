// See machine.h.
#include "bench/machine.h"

#include <benchmark/benchmark.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <string_view>
#include <thread>

namespace kelvin::bench {
namespace {

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// The value of the first "name : value" line of /proc/cpuinfo; empty if there is none.
std::string cpu_field(std::string_view name) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(name)) continue;
    const auto colon = line.find(": ");
    return colon == std::string::npos ? std::string() : line.substr(colon + 2);
  }
  return {};
}

// Of the instruction sets that checksums and copies choose among, those that this CPU has.
std::string instruction_sets() {
  const std::string flags = " " + cpu_field(cpu_field("flags").empty() ? "Features" : "flags") + " ";
  std::string found;
  for (const char* name :
       {"sse4_2", "pclmulqdq", "avx2", "vpclmulqdq", "avx512f", "avx512vl", "crc32", "pmull"}) {
    if (flags.find(" " + std::string(name) + " ") != std::string::npos) found += std::string(name) + " ";
  }
  return found.empty() ? "unknown" : found;
}

std::string page_sizes() {
  std::string pages = std::to_string(::sysconf(_SC_PAGESIZE)) + " B";
  const std::string thp = first_line("/sys/kernel/mm/transparent_hugepage/enabled");
  pages += ", transparent huge pages: " + (thp.empty() ? "no" : thp);
  const std::string reserved = first_line("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");
  if (!reserved.empty()) pages += ", 2 MiB pages reserved: " + reserved;
  return pages;
}

}  // namespace

std::string load_average() {
  const std::string line = first_line("/proc/loadavg");
  std::size_t end = 0;
  for (int field = 0; field < 3 && end != std::string::npos; ++field) end = line.find(' ', end + 1);
  return line.substr(0, end);
}

void describe_machine() {
  utsname system{};
  ::uname(&system);
  std::string cpu = cpu_field("model name");
  if (cpu.empty()) cpu = system.machine;
  benchmark::AddCustomContext("cpu", cpu);
  benchmark::AddCustomContext("cpu family/model", cpu_field("cpu family") + "/" + cpu_field("model"));
  benchmark::AddCustomContext("cores", std::to_string(std::thread::hardware_concurrency()));
  benchmark::AddCustomContext("instruction sets", instruction_sets());
  benchmark::AddCustomContext("kernel", std::string(system.sysname) + " " + system.release);
  benchmark::AddCustomContext("pages", page_sizes());
  benchmark::AddCustomContext("load before", load_average());
}

}  // namespace kelvin::bench

// See fio.h.
#include "bench/fio.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string_view>

namespace kelvin::bench {
namespace {

// What the command writes to stdout; nothing if it fails.
std::optional<std::string> output_of(const std::string& command) {
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return std::nullopt;
  std::string output;
  std::array<char, 4096> buffer;
  while (const std::size_t bytes = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    output.append(buffer.data(), bytes);
  }
  if (::pclose(pipe) != 0) return std::nullopt;
  return output;
}

std::string shell_word(std::string_view text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

}  // namespace

std::string fio_version() {
  std::string version = output_of("fio --version 2>/dev/null").value_or("");
  while (!version.empty() && version.back() == '\n') version.pop_back();
  return version;
}

std::optional<FioResult> run_fio(const FioJob& job) {
  // Registered buffers and files, as the link has them; contents made once, so that fio's time is the
  // drive's.
  const std::string command =
      std::string(
          "GLIBC_TUNABLES=glibc.malloc.hugetlb=1 fio --name=peer --ioengine=io_uring --fixedbufs=1 "
          "--registerfiles=1 --direct=1 "
          "--scramble_buffers=0 --overwrite=1 --allow_file_create=0 --output-format=json") +
      " --rw=" + (job.write ? "write" : "read") + " --filename=" + shell_word(job.file) +
      " --offset=" + std::to_string(job.offset) + " --size=" + std::to_string(job.bytes) +
      " --bs=" + std::to_string(job.block_bytes) + " --iodepth=" + std::to_string(job.depth);
  const auto output = output_of(command);
  if (!output) return std::nullopt;
  // Warnings may stand before the JSON.
  const auto parsed =
      nlohmann::json::parse(output->substr(std::min(output->find('{'), output->size())), nullptr, false);
  if (parsed.is_discarded() || !parsed.contains("jobs") || parsed["jobs"].empty()) return std::nullopt;
  const auto& result = parsed["jobs"][0];
  const auto& side = result[job.write ? "write" : "read"];
  const double seconds = side.value("runtime", 0.0) / 1e3;
  const double bytes = side.value("io_bytes", 0.0);
  if (seconds <= 0 || bytes <= 0) return std::nullopt;
  const double cpu_percent = result.value("usr_cpu", 0.0) + result.value("sys_cpu", 0.0);
  return FioResult{side.value("bw_bytes", bytes / seconds),
                   cpu_percent / 100 * seconds * 1e3 / (bytes / 1e9)};
}

}  // namespace kelvin::bench

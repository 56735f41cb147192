# What is built. A part whose library is absent is switched off, and says so.
option(KELVIN_CLI "the kelvin command" ${PROJECT_IS_TOP_LEVEL})
option(KELVIN_TESTS "unit, model, fault and conformance tests" ${PROJECT_IS_TOP_LEVEL})
option(KELVIN_BENCH "benchmarks" ${PROJECT_IS_TOP_LEVEL})
option(KELVIN_INSTALL "install rules" ${PROJECT_IS_TOP_LEVEL})
option(KELVIN_FUZZ "libFuzzer targets (Clang only)" OFF)
option(KELVIN_NVME "the NVMe tier" ON)
option(KELVIN_URING "io_uring in the NVMe tier, where liburing is found; else its thread pool alone" ON)
set(KELVIN_SANITIZE "" CACHE STRING "empty, 'address;undefined' or 'thread'")

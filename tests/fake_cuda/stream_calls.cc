// Pretended calls: streams, events, copies, kernels.
#include <chrono>
#include <cstring>

#include "tests/fake_cuda/calls.h"
#include "tiers/hbm/cuda/kernel_arguments.h"

namespace kelvin::fake_cuda::calls {
namespace {

Machine& machine() { return Machine::only(); }
void* pointer(CUdeviceptr at) { return reinterpret_cast<void*>(at); }

CUresult put_copy(void* to, int to_gpu, const void* from, int from_gpu, std::size_t bytes, CUstream stream) {
  if (!machine().holds(to, bytes, to_gpu) || !machine().holds(from, bytes, from_gpu)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  Machine::stream(stream).put([=] { std::memcpy(to, from, bytes); });
  return CUDA_SUCCESS;
}

CUresult batch(const CUdeviceptr* to, const CUdeviceptr* from, const std::size_t* bytes, std::size_t count,
               const hbm::BatchAttributes* attributes, const std::size_t* first_with, std::size_t kinds,
               CUstream stream) {
  KELVIN_FAKE_ENTER("cuMemcpyBatchAsync");
  if (stream == nullptr || count == 0 || kinds != 1 || first_with[0] != 0 || attributes->source_order != 1) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (bytes[i] == 0 || machine().place_of(pointer(to[i]), bytes[i]) == -2 ||
        machine().place_of(pointer(from[i]), bytes[i]) == -2) {
      return CUDA_ERROR_INVALID_VALUE;
    }
  }
  for (std::size_t i = 0; i < count; ++i) {
    Machine::stream(stream).put(
        [to = pointer(to[i]), from = pointer(from[i]), bytes = bytes[i]] { std::memcpy(to, from, bytes); });
  }
  return CUDA_SUCCESS;
}

}  // namespace

CUresult copy_from_host(CUdeviceptr to, const void* from, std::size_t bytes, CUstream stream) {
  KELVIN_FAKE_ENTER("cuMemcpyHtoDAsync");
  ++machine().seen.plain_copies;
  return put_copy(pointer(to), Machine::current_gpu(), from, -1, bytes, stream);
}

CUresult copy_to_host(void* to, CUdeviceptr from, std::size_t bytes, CUstream stream) {
  KELVIN_FAKE_ENTER("cuMemcpyDtoHAsync");
  ++machine().seen.plain_copies;
  return put_copy(to, -1, pointer(from), Machine::current_gpu(), bytes, stream);
}

CUresult copy_within(CUdeviceptr to, CUdeviceptr from, std::size_t bytes, CUstream stream) {
  KELVIN_FAKE_ENTER("cuMemcpyDtoDAsync");
  ++machine().seen.plain_copies;
  return put_copy(pointer(to), Machine::current_gpu(), pointer(from), Machine::current_gpu(), bytes, stream);
}

CUresult copy_peer(CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context,
                   std::size_t bytes, CUstream stream) {
  KELVIN_FAKE_ENTER("cuMemcpyPeerAsync");
  ++machine().seen.peer_copies;
  return put_copy(pointer(to), to_context->ordinal, pointer(from), from_context->ordinal, bytes, stream);
}

CUresult batch_12(CUdeviceptr* to, CUdeviceptr* from, std::size_t* bytes, std::size_t count,
                  hbm::BatchAttributes* attributes, std::size_t* first_with, std::size_t kinds,
                  std::size_t* refused, CUstream stream) {
  ++machine().seen.batches_12;
  *refused = 0;
  return batch(to, from, bytes, count, attributes, first_with, kinds, stream);
}

CUresult batch_13(CUdeviceptr* to, CUdeviceptr* from, std::size_t* bytes, std::size_t count,
                  hbm::BatchAttributes* attributes, std::size_t* first_with, std::size_t kinds,
                  CUstream stream) {
  ++machine().seen.batches_13;
  return batch(to, from, bytes, count, attributes, first_with, kinds, stream);
}

CUresult stream_create(CUstream* stream, unsigned /*flags*/) {
  KELVIN_FAKE_ENTER("cuStreamCreate");
  *stream = machine().make<CUstream_st>();
  return CUDA_SUCCESS;
}

CUresult stream_destroy(CUstream stream) {
  KELVIN_FAKE_ENTER("cuStreamDestroy");
  machine().end(stream);
  return CUDA_SUCCESS;
}

CUresult stream_synchronize(CUstream stream) {
  KELVIN_FAKE_ENTER("cuStreamSynchronize");
  Machine::stream(stream).drain();
  return CUDA_SUCCESS;
}

CUresult stream_after(CUstream stream, CUevent event, unsigned /*flags*/) {
  KELVIN_FAKE_ENTER("cuStreamWaitEvent");
  if (event->done == nullptr) return CUDA_SUCCESS;
  Machine::stream(stream).put([done = event->done] { done->wait(false); });
  return CUDA_SUCCESS;
}

CUresult stream_wait_word(CUstream stream, CUdeviceptr at, cuuint32_t value, unsigned flags) {
  KELVIN_FAKE_ENTER("cuStreamWaitValue32");
  if (!machine().script().words) return CUDA_ERROR_NOT_SUPPORTED;
  if (flags != CU_STREAM_WAIT_VALUE_GEQ || machine().place_of(pointer(at), sizeof value) == -2) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  Machine::stream(stream).put([at, value] {
    const std::atomic_ref<std::uint32_t> word(*static_cast<std::uint32_t*>(pointer(at)));
    while (static_cast<std::int32_t>(word.load() - value) < 0) {
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  });
  return CUDA_SUCCESS;
}

CUresult event_create(CUevent* event, unsigned flags) {
  KELVIN_FAKE_ENTER("cuEventCreate");
  if (flags != CU_EVENT_DISABLE_TIMING) return CUDA_ERROR_INVALID_VALUE;
  *event = machine().make<CUevent_st>();
  return CUDA_SUCCESS;
}

CUresult event_destroy(CUevent event) {
  KELVIN_FAKE_ENTER("cuEventDestroy");
  machine().end(event);
  return CUDA_SUCCESS;
}

CUresult event_record(CUevent event, CUstream stream) {
  KELVIN_FAKE_ENTER("cuEventRecord");
  event->done = std::make_shared<std::atomic<bool>>(false);
  Machine::stream(stream).put([done = event->done] {
    *done = true;
    done->notify_all();
  });
  return CUDA_SUCCESS;
}

CUresult event_query(CUevent event) {
  KELVIN_FAKE_ENTER("cuEventQuery");
  return event->done == nullptr || *event->done ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

CUresult module_load(CUmodule* module, const void* image) {
  KELVIN_FAKE_ENTER("cuModuleLoadData");
  const bool text = std::memcmp(image, "//", 2) == 0;  // PTX begins with a comment
  if (!text && !machine().script().machine_code) return CUDA_ERROR_NO_BINARY_FOR_GPU;
  if (text && !machine().script().ptx) return CUDA_ERROR_UNSUPPORTED_PTX_VERSION;
  *module =
      machine().make<CUmod_st>(CUmod_st{find_kernel(hbm::kCopyKernel), find_kernel(hbm::kChecksumKernel)});
  return CUDA_SUCCESS;
}

CUresult module_unload(CUmodule module) {
  KELVIN_FAKE_ENTER("cuModuleUnload");
  machine().end(module);
  return CUDA_SUCCESS;
}

CUresult module_function(CUfunction* function, CUmodule module, const char* name) {
  KELVIN_FAKE_ENTER("cuModuleGetFunction");
  const CUfunc_st kernel = find_kernel(name);
  if (kernel.run == nullptr) return CUDA_ERROR_NOT_FOUND;
  *function = kernel.run == module->copy.run ? &module->copy : &module->checksum;
  return CUDA_SUCCESS;
}

CUresult launch(CUfunction function, unsigned ctas, unsigned /*y*/, unsigned /*z*/, unsigned threads,
                unsigned /*ty*/, unsigned /*tz*/, unsigned /*shared*/, CUstream stream, void** parameters,
                void** /*extra*/) {
  KELVIN_FAKE_ENTER("cuLaunchKernel");
  if (ctas == 0 || threads == 0) return CUDA_ERROR_INVALID_VALUE;
  ++machine().seen.launches;
  const auto* const first = static_cast<const std::byte*>(parameters[0]);
  std::vector<std::byte> arguments(first, first + function->argument_bytes);
  Machine::stream(stream).put(
      [run = function->run, arguments = std::move(arguments)] { run(arguments.data()); });
  return CUDA_SUCCESS;
}

}  // namespace kelvin::fake_cuda::calls

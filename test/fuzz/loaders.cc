// Feeds the readers of weights with what libFuzzer makes up: scripts/fuzz_loaders.js builds and runs it.
// KIND is safetensors, bin, or pickle for what lies inside a .bin. A file is read or refused with
// std::runtime_error in one line; whatever else happens is found by the sanitizers.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "pickle.h"
#include "pytorch_bin.h"
#include "safetensors.h"

namespace {

const std::string kind = KIND;

// The input as a file: in memory, as files are mapped.
std::string written(const uint8_t* data, size_t size) {
  const std::string path = "/dev/shm/dece-fuzz-" + std::to_string(::getpid());
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (!file || std::fwrite(data, 1, size, file) != size || std::fclose(file) != 0) std::abort();
  return path;
}

// Every byte that a tensor claims to have is there.
void touch(const dece::Tensors& tensors) {
  for (const auto& [name, tensor] : tensors) {
    const auto copy = tensor.clone(at::MemoryFormat::Contiguous);
    const volatile auto* bytes = static_cast<const char*>(copy.const_data_ptr());
    for (size_t i = 0; i < copy.nbytes(); i++) (void)bytes[i];
  }
}

void read(const uint8_t* data, size_t size) {
  if (kind == "pickle") {
    dece::unpickle_state_dict({reinterpret_cast<const char*>(data), size});
    return;
  }
  const auto path = written(data, size);
  touch(kind == "bin" ? dece::read_pytorch_bin(path) : dece::read_safetensors(path));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    read(data, size);
  } catch (const std::runtime_error& error) {
    const std::string message = error.what();
    if (message.empty() || message.size() > 1000 || message.find('\n') != message.npos) {
      std::fprintf(stderr, "message: %s\n", message.substr(0, 2000).c_str());
      std::abort();
    }
  }
  return 0;
}

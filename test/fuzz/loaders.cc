// Feeds the readers of weights with what libFuzzer makes up: scripts/fuzz_loaders.js builds and runs it.
// KIND is safetensors, bin, or pickle for what lies inside a .bin. A file is read or refused with
// std::runtime_error in one line; whatever else happens is found by the sanitizers.
#include <caffe2/serialize/inline_container.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "pickle.h"
#include "pytorch_bin.h"
#include "safetensors.h"

namespace {

const std::string kind = KIND;

const std::string path = "/dev/shm/dece-fuzz-" + std::to_string(::getpid());

// The input as a file: in memory, as files are mapped.
void write(const uint8_t* data, size_t size) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (!file || std::fwrite(data, 1, size, file) != size || std::fclose(file) != 0) std::abort();
}

// What torch.save makes around a pickle, with storages for its tensors to lie in.
void write_around(const uint8_t* pickle, size_t size) {
  const std::string numbers(24, 'x');
  caffe2::serialize::PyTorchStreamWriter zip(path);
  zip.writeRecord("data.pkl", pickle, size);
  for (const char* key : {"0", "1", "2"}) {
    zip.writeRecord(std::string("data/") + key, numbers.data(), numbers.size());
  }
  zip.writeEndOfFile();
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
    write_around(data, size);
    return touch(dece::read_pytorch_bin(path));
  }
  write(data, size);
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

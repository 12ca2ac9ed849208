#include "safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <tuple>

#include "safetensors_header.h"

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

namespace dece {

using torch::Tensor;

namespace {

// What the reference implementation allows; a larger header is a lie.
constexpr uint64_t largest_header = 100'000'000;

struct DType {
  const char* name;
  torch::Dtype type;
};
constexpr DType dtypes[] = {
    {"F64", torch::kDouble},    {"F32", torch::kFloat}, {"F16", torch::kHalf},
    {"BF16", torch::kBFloat16}, {"I64", torch::kLong},  {"I32", torch::kInt},
    {"U8", torch::kByte},       {"BOOL", torch::kBool},
};

std::runtime_error system_error(const std::string& what, const std::string& path) {
  return std::runtime_error(what + " " + path + ": " + std::strerror(errno));
}

// A file descriptor that closes itself.
class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int get() const { return descriptor_; }
  // Closes and says whether that went well: some file systems report a full disk only now.
  bool close() { return ::close(std::exchange(descriptor_, -1)) == 0; }

 private:
  int descriptor_;
};

// A whole file, mapped; unmapped when the last tensor in it goes.
struct Mapping {
  const char* data = nullptr;
  uint64_t size = 0;
  explicit Mapping(const std::string& path) {
    const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0) throw system_error("cannot open", path);
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) throw system_error("cannot read", path);
    if (!S_ISREG(status.st_mode)) throw std::runtime_error(path + " is not a file");
    size = uint64_t(status.st_size);
    if (size == 0) return;
    void* mapped = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (mapped == MAP_FAILED) throw system_error("cannot map", path);
    data = static_cast<const char*>(mapped);
  }
  ~Mapping() {
    if (data) ::munmap(const_cast<char*>(data), size);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
};

const DType& dtype_named(const std::string& tensor, const std::string& name) {
  for (const auto& dtype : dtypes) {
    if (name == dtype.name) return dtype;
  }
  std::string known;
  for (const auto& dtype : dtypes) known += (known.empty() ? "" : ", ") + std::string(dtype.name);
  throw std::runtime_error("the dtype of " + tensor + " is " + json_string(name) +
                           ": expected one of " + known);
}

// The number of bytes of an entry by its shape and dtype.
uint64_t size_of(const std::string& name, const HeaderEntry& entry, uint64_t item) {
  uint64_t bytes = item;
  for (const uint64_t extent : entry.shape) {
    if (__builtin_mul_overflow(bytes, extent, &bytes)) {
      throw std::runtime_error("the shape of " + name + " is larger than any file");
    }
  }
  return bytes;
}

// Every byte after the header belongs to exactly one tensor.
void check_ranges(const std::map<std::string, HeaderEntry>& entries, uint64_t available) {
  std::vector<std::tuple<uint64_t, uint64_t, std::string>> ranges;
  for (const auto& [name, entry] : entries) ranges.emplace_back(entry.begin, entry.end, name);
  std::sort(ranges.begin(), ranges.end());
  uint64_t position = 0;
  for (const auto& [begin, end, name] : ranges) {
    if (begin < position) throw std::runtime_error(name + " overlaps the tensor before it");
    if (begin > position) {
      throw std::runtime_error("there is a hole of " + std::to_string(begin - position) +
                               " bytes before " + name);
    }
    if (end < begin) throw std::runtime_error(name + " ends before it begins");
    position = end;
  }
  if (position > available) {
    throw std::runtime_error("the header speaks of " + std::to_string(position) +
                             " bytes of tensors but " + std::to_string(available) +
                             " follow: the file is truncated");
  }
  if (position < available) {
    throw std::runtime_error(std::to_string(available - position) +
                             " bytes after the last tensor belong to none");
  }
}

Tensor tensor_at(const std::shared_ptr<Mapping>& mapping, const char* data,
                 const HeaderEntry& entry, torch::Dtype dtype) {
  const std::vector<int64_t> shape(entry.shape.begin(), entry.shape.end());
  if (reinterpret_cast<uintptr_t>(data) % c10::elementSize(dtype) != 0) {
    // A header of odd length; libtorch reads aligned numbers only.
    auto copy = at::empty(shape, dtype);
    std::memcpy(copy.data_ptr(), data, entry.end - entry.begin);
    return copy;
  }
  return at::from_blob(
      const_cast<char*>(data), shape, [mapping](void*) {}, dtype);
}

std::map<std::string, Tensor> tensors_of(const std::shared_ptr<Mapping>& mapping) {
  if (mapping->size < 8) {
    throw std::runtime_error("it has " + std::to_string(mapping->size) +
                             " bytes, too few for a header: the file is truncated");
  }
  uint64_t length;
  std::memcpy(&length, mapping->data, 8);
  if (length > largest_header || length > mapping->size - 8) {
    throw std::runtime_error("its header claims " + std::to_string(length) + " bytes of " +
                             std::to_string(mapping->size) +
                             ": the file is truncated or no safetensors file");
  }
  const auto entries = parse_safetensors_header({mapping->data + 8, length});
  check_ranges(entries, mapping->size - 8 - length);

  std::map<std::string, Tensor> tensors;
  for (const auto& [name, entry] : entries) {
    const auto dtype = dtype_named(name, entry.dtype).type;
    if (size_of(name, entry, c10::elementSize(dtype)) != entry.end - entry.begin) {
      throw std::runtime_error(name + " has " + std::to_string(entry.end - entry.begin) +
                               " bytes, which do not fit its shape and dtype");
    }
    tensors.emplace(name,
                    tensor_at(mapping, mapping->data + 8 + length + entry.begin, entry, dtype));
  }
  return tensors;
}

const char* name_of(torch::Dtype type) {
  for (const auto& dtype : dtypes) {
    if (dtype.type == type) return dtype.name;
  }
  throw std::runtime_error(std::string("cannot write tensors of dtype ") + c10::toString(type));
}

std::string header_of(const std::vector<std::pair<std::string, Tensor>>& tensors) {
  // What transformers looks for before it loads a file.
  std::string text = R"({"__metadata__":{"format":"pt"})";
  uint64_t position = 0;
  for (const auto& [name, tensor] : tensors) {
    text += ',' + json_string(name) + R"(:{"dtype":")" + name_of(tensor.scalar_type()) +
            R"(","shape":[)";
    for (int64_t i = 0; i < tensor.dim(); i++) {
      text += (i ? "," : "") + std::to_string(tensor.size(i));
    }
    text += R"(],"data_offsets":[)" + std::to_string(position) + ',';
    position += tensor.nbytes();
    text += std::to_string(position) + "]}";
  }
  text += '}';
  text.append((8 - text.size() % 8) % 8, ' ');
  return text;
}

void write_all(int descriptor, const void* data, size_t size, const std::string& path) {
  const auto* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const auto written = ::write(descriptor, bytes, std::min<size_t>(size, 1 << 30));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) throw system_error("cannot write", path);
    bytes += written;
    size -= written;
  }
}

// `path` is what error messages name: the file that was asked for.
void write_file(const std::string& temporary, const std::string& path,
                const std::vector<std::pair<std::string, Tensor>>& tensors) {
  File file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (file.get() < 0) throw system_error("cannot write", path);
  const auto header = header_of(tensors);
  const uint64_t length = header.size();
  write_all(file.get(), &length, 8, path);
  write_all(file.get(), header.data(), header.size(), path);
  for (const auto& [name, tensor] : tensors) {
    const auto values = tensor.detach().cpu().contiguous();
    write_all(file.get(), values.const_data_ptr(), values.nbytes(), path);
  }
  if (::fsync(file.get()) != 0 || !file.close()) throw system_error("cannot write", path);
}

// So that the new name itself survives a power cut. Not every file system can do it.
void sync_directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  const auto directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const File file(::open(directory.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() >= 0) ::fsync(file.get());
}

}  // namespace

std::map<std::string, Tensor> read_safetensors(const std::string& path) {
  const auto mapping = std::make_shared<Mapping>(path);
  try {
    return tensors_of(mapping);
  } catch (const std::runtime_error& error) {
    throw std::runtime_error("cannot read " + path + ": " + error.what());
  }
}

void write_safetensors(const std::string& path,
                       const std::vector<std::pair<std::string, Tensor>>& tensors) {
  auto ordered = tensors;
  std::stable_sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) {
    const auto size_a = a.second.element_size(), size_b = b.second.element_size();
    return size_a != size_b ? size_a > size_b : a.first < b.first;
  });
  const auto temporary = path + "." + std::to_string(::getpid()) + ".tmp";
  try {
    write_file(temporary, path, ordered);
    if (::rename(temporary.c_str(), path.c_str()) != 0) throw system_error("cannot replace", path);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  sync_directory_of(path);
}

}  // namespace dece

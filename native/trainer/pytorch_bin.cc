#include "pytorch_bin.h"

#include <caffe2/serialize/inline_container.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <stdexcept>

#include "names.h"
#include "pickle.h"

namespace dece {

using torch::Tensor;

namespace {

// Some hundred bytes for each of a thousand tensors are usual; a byte may become a hundred in
// memory.
constexpr size_t largest_pickle = 16'000'000;

struct StorageType {
  const char* name;
  torch::Dtype dtype;
};
constexpr StorageType storage_types[] = {
    {"FloatStorage", torch::kFloat},       {"HalfStorage", torch::kHalf},
    {"BFloat16Storage", torch::kBFloat16}, {"DoubleStorage", torch::kDouble},
    {"LongStorage", torch::kLong},         {"IntStorage", torch::kInt},
    {"ShortStorage", torch::kShort},       {"CharStorage", torch::kChar},
    {"ByteStorage", torch::kByte},         {"BoolStorage", torch::kBool},
};

torch::Dtype dtype_of(const std::string& storage) {
  for (const auto& [name, dtype] : storage_types) {
    if (storage == name) return dtype;
  }
  throw std::runtime_error("it has a storage of the kind " + storage);
}

// What libtorch's zip reader reads from.
class MappedAdapter : public caffe2::serialize::ReadAdapterInterface {
 public:
  explicit MappedAdapter(std::shared_ptr<MappedFile> file) : file_(std::move(file)) {}
  size_t size() const override { return file_->size(); }
  size_t read(uint64_t position, void* to, size_t count, const char*) const override {
    if (position >= file_->size()) return 0;
    const auto available = std::min<uint64_t>(count, file_->size() - position);
    std::memcpy(to, file_->data() + position, available);
    return available;
  }

 private:
  std::shared_ptr<MappedFile> file_;
};

class Archive {
 public:
  explicit Archive(const std::shared_ptr<MappedFile>& file)
      : file_(file), zip_(std::make_shared<MappedAdapter>(file)) {}

  bool has(const std::string& name) { return zip_.hasRecord(name); }

  // A copy of a small record, compared with its checksum.
  std::string text(const std::string& name) {
    const auto view = mapped(name);
    std::string copy(view.size(), '\0');
    zip_.getRecord(name, copy.data(), copy.size());
    return copy;
  }

  // Where a record lies in the mapped file.
  std::string_view mapped(const std::string& name) {
    const uint64_t size = zip_.getRecordSize(name);
    const uint64_t begin = zip_.getRecordOffset(name), header = zip_.getRecordHeaderOffset(name);
    if (begin > file_->size() || size > file_->size() - begin || header + 10 > begin) {
      throw std::runtime_error("its record " + printable(name) + " reaches beyond its end");
    }
    uint16_t method;
    std::memcpy(&method, file_->data() + header + 8, 2);
    if (method != 0) {
      throw std::runtime_error("its record " + printable(name) +
                               " is compressed: expected what torch.save writes");
    }
    return {file_->data() + begin, size};
  }

 private:
  std::shared_ptr<MappedFile> file_;
  caffe2::serialize::PyTorchStreamReader zip_;
};

// Number of elements, or a number above every storage where it is larger than that.
uint64_t count_of(const std::vector<int64_t>& sizes) {
  uint64_t count = 1;
  int64_t strides = 1;  // libtorch multiplies also where a size is 0
  for (const int64_t size : sizes) {
    if (size < 0) throw std::runtime_error("a size below 0");
    if (__builtin_mul_overflow(strides, std::max<int64_t>(size, 1), &strides)) return UINT64_MAX;
    count *= uint64_t(size);
  }
  return count;
}

// A tensor of more elements than its storage, as torch's expand makes, is refused too: a small file
// could fill any memory.
void check_view(const PickledTensor& tensor) {
  const auto storage = uint64_t(tensor.storage_size);
  if (tensor.sizes.size() != tensor.strides.size()) {
    throw std::runtime_error("another number of sizes than of strides");
  }
  if (tensor.offset < 0) throw std::runtime_error("an offset below 0");
  const auto count = count_of(tensor.sizes);
  uint64_t end = uint64_t(tensor.offset) + (count > 0 ? 1 : 0);
  for (size_t i = 0; i < tensor.sizes.size(); i++) {
    const auto stride = uint64_t(tensor.strides[i]);
    uint64_t reach = 0;
    if (tensor.strides[i] < 0 ||
        (count > 0 && __builtin_mul_overflow(uint64_t(tensor.sizes[i] - 1), stride, &reach)) ||
        __builtin_add_overflow(end, reach, &end)) {
      throw std::runtime_error("strides that no storage has");
    }
  }
  if (count > storage || end > storage) {
    throw std::runtime_error("more elements than its storage, which has " +
                             std::to_string(storage));
  }
}

// Where the numbers of a storage lie in the mapped file.
using BytesOf = std::function<std::string_view(const PickledTensor&)>;

// What the pickle speaks of, over the mapped file.
class StateDict {
 public:
  StateDict(std::shared_ptr<MappedFile> file, BytesOf bytes_of)
      : file_(std::move(file)), bytes_of_(std::move(bytes_of)) {}

  Tensors tensors(const PickledTensors& pickled) {
    Tensors tensors;
    for (const auto& [name, one] : pickled) tensors.emplace(name, tensor(name, one));
    return tensors;
  }

 private:
  Tensor tensor(const std::string& name, const PickledTensor& pickled) {
    const auto whole = storage(pickled);
    try {
      check_view(pickled);
    } catch (const std::runtime_error& error) {
      throw std::runtime_error(printable(name) + " has " + error.what());
    }
    return whole.as_strided(pickled.sizes, pickled.strides, pickled.offset);
  }

  // One tensor of one dimension for each storage: so tied weights stay tied.
  const Tensor& storage(const PickledTensor& pickled) {
    const auto dtype = dtype_of(pickled.storage_type);
    const auto found = storages_.find(pickled.storage_key);
    if (found != storages_.end()) {
      if (found->second.scalar_type() != dtype || found->second.numel() != pickled.storage_size) {
        throw std::runtime_error("its storage " + printable(pickled.storage_key) +
                                 " is of two kinds");
      }
      return found->second;
    }
    const auto bytes = bytes_of_(pickled);
    const auto size = pickled.storage_size;
    if (size < 0 || bytes.size() % c10::elementSize(dtype) != 0 ||
        bytes.size() / c10::elementSize(dtype) != uint64_t(size)) {
      throw std::runtime_error("its storage " + printable(pickled.storage_key) + " has " +
                               std::to_string(bytes.size()) + " bytes: expected " +
                               std::to_string(size) + " elements of " + c10::toString(dtype));
    }
    auto tensor = mapped_tensor(file_, bytes.data(), bytes.size(), {size}, dtype);
    return storages_.emplace(pickled.storage_key, std::move(tensor)).first->second;
  }

  std::shared_ptr<MappedFile> file_;
  BytesOf bytes_of_;
  std::map<std::string, Tensor> storages_;
};

Tensors read_zip(const std::shared_ptr<MappedFile>& file) {
  Archive archive(file);
  if (archive.has("byteorder") && archive.text("byteorder") != "little") {
    throw std::runtime_error("its numbers are big-endian: expected little-endian ones");
  }
  if (!archive.has("data.pkl")) {
    throw std::runtime_error("it has no data.pkl: expected what torch.save writes");
  }
  if (const auto size = archive.mapped("data.pkl").size(); size > largest_pickle) {
    throw std::runtime_error("its data.pkl has " + std::to_string(size) +
                             " bytes: expected at most " + std::to_string(largest_pickle));
  }
  const auto bytes_of = [&archive](const PickledTensor& pickled) {
    const auto record = "data/" + pickled.storage_key;
    if (!archive.has(record)) throw std::runtime_error("it lacks its record " + printable(record));
    return archive.mapped(record);
  };
  return StateDict(file, bytes_of).tensors(unpickle_state_dict(archive.text("data.pkl")));
}

// Storages follow each other behind the pickles, which alone know how large an element is.
std::map<std::string, std::string_view> old_storages(std::string_view file,
                                                     const OldPickles& pickles) {
  std::map<std::string, size_t> element_sizes;
  for (const auto& [name, pickled] : pickles.tensors) {
    element_sizes.emplace(pickled.storage_key, c10::elementSize(dtype_of(pickled.storage_type)));
  }
  std::map<std::string, std::string_view> storages;
  auto at = pickles.end;
  for (const auto& key : pickles.storage_keys) {
    const auto found = element_sizes.find(key);
    if (found == element_sizes.end()) {
      throw std::runtime_error("no tensor lies in its storage " + printable(key));
    }
    uint64_t count = 0, bytes = 0;
    const bool has_count = file.size() - at >= sizeof count;
    if (has_count) std::memcpy(&count, file.data() + at, sizeof count);
    at += has_count ? sizeof count : 0;
    if (!has_count || __builtin_mul_overflow(count, found->second, &bytes) ||
        bytes > file.size() - at) {
      throw std::runtime_error("it is not whole: its storage " + printable(key) +
                               " reaches beyond its end");
    }
    storages.emplace(key, file.substr(at, bytes));
    at += bytes;
  }
  return storages;
}

Tensors read_old(const std::shared_ptr<MappedFile>& file) {
  const std::string_view all(file->data(), file->size());
  const auto pickles = unpickle_old_file(all.substr(0, largest_pickle));
  const auto storages = old_storages(all, pickles);
  const auto bytes_of = [&storages](const PickledTensor& pickled) {
    const auto found = storages.find(pickled.storage_key);
    if (found != storages.end()) return found->second;
    throw std::runtime_error("it lacks its storage " + printable(pickled.storage_key));
  };
  return StateDict(file, bytes_of).tensors(pickles.tensors);
}

// Before version 1.6, torch.save wrote pickles one after the other, and before 0.1.10 a tar file.
Tensors read(const std::shared_ptr<MappedFile>& file) {
  const std::string_view start(file->data(), std::min<uint64_t>(file->size(), 512));
  if (start.starts_with("PK")) return read_zip(file);
  if (start.empty()) throw std::runtime_error("it is empty");
  if (start.size() > 262 && start.substr(257, 5) == "ustar") {
    throw std::runtime_error(
        "it is a tar file, as PyTorch wrote before 0.1.10: expected a newer one");
  }
  return read_old(file);
}

}  // namespace

Tensors read_pytorch_bin(const std::string& path) {
  const auto file = std::make_shared<MappedFile>(path);
  const auto prefix = "cannot read " + path + ": ";
  try {
    return read(file);
  } catch (const c10::Error& error) {
    // Of the zip reader; the message goes over several lines.
    const std::string message = error.what_without_backtrace();
    throw std::runtime_error(prefix + "it is not whole or no zip file of torch.save (" +
                             printable(message.substr(0, message.find('\n'))) + ")");
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(prefix + error.what());
  }
}

}  // namespace dece

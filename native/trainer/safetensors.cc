#include "safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <tuple>

#include "mapped_file.h"
#include "names.h"
#include "safetensors_header.h"

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

namespace dece {

using torch::Tensor;

namespace {

// What the reference implementation allows; a larger header is a lie.
constexpr uint64_t largest_header = 100'000'000;

constexpr size_t most_dimensions = 64;  // as libtorch knows

struct DType {
  const char* name;
  torch::Dtype type;
};
constexpr DType dtypes[] = {
    {"F64", torch::kDouble},    {"F32", torch::kFloat}, {"F16", torch::kHalf},
    {"BF16", torch::kBFloat16}, {"I64", torch::kLong},  {"I32", torch::kInt},
    {"U8", torch::kByte},       {"BOOL", torch::kBool},
};

const DType& dtype_named(const std::string& tensor, const std::string& name) {
  for (const auto& dtype : dtypes) {
    if (name == dtype.name) return dtype;
  }
  std::string known;
  for (const auto& dtype : dtypes) known += (known.empty() ? "" : ", ") + std::string(dtype.name);
  throw std::runtime_error("the dtype of " + tensor + " is " + json_string(printable(name)) +
                           ": expected one of " + known);
}

// The number of bytes of an entry by its shape and dtype.
uint64_t size_of(const std::string& name, const HeaderEntry& entry, uint64_t item) {
  if (entry.shape.size() > most_dimensions) {
    throw std::runtime_error(name + " has " + std::to_string(entry.shape.size()) +
                             " dimensions: expected at most " + std::to_string(most_dimensions));
  }
  uint64_t bytes = item;
  int64_t strides = int64_t(item);  // libtorch multiplies also where an extent is 0
  for (const uint64_t extent : entry.shape) {
    if (__builtin_mul_overflow(strides, std::max<uint64_t>(extent, 1), &strides)) {
      throw std::runtime_error("the shape of " + name + " is larger than any file");
    }
    bytes *= extent;
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

Tensors tensors_of(const std::shared_ptr<MappedFile>& file, std::optional<torch::Dtype> kept) {
  if (file->size() < 8) {
    throw std::runtime_error("it has " + std::to_string(file->size()) +
                             " bytes, too few for a header: the file is truncated");
  }
  uint64_t length;
  std::memcpy(&length, file->data(), 8);
  if (length > largest_header || length > file->size() - 8) {
    throw std::runtime_error("its header claims " + std::to_string(length) + " bytes of " +
                             std::to_string(file->size()) +
                             ": the file is truncated or no safetensors file");
  }
  const auto entries = parse_safetensors_header({file->data() + 8, length});
  check_ranges(entries, file->size() - 8 - length);

  Tensors tensors;
  for (const auto& [name, entry] : entries) {
    const auto dtype = dtype_named(name, entry.dtype).type;
    if (size_of(name, entry, c10::elementSize(dtype)) != entry.end - entry.begin) {
      throw std::runtime_error(name + " has " + std::to_string(entry.end - entry.begin) +
                               " bytes, which do not fit its shape and dtype");
    }
    const std::vector<int64_t> shape(entry.shape.begin(), entry.shape.end());
    tensors.emplace(name, mapped_tensor(file, file->data() + 8 + length + entry.begin,
                                        entry.end - entry.begin, shape, dtype, dtype == kept));
  }
  return tensors;
}

const char* name_of(torch::Dtype type) {
  for (const auto& dtype : dtypes) {
    if (dtype.type == type) return dtype.name;
  }
  throw std::runtime_error(std::string("cannot write tensors of dtype ") + c10::toString(type));
}

std::string header_of(const NamedTensors& tensors) {
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

// A closed file that is still to be put in its place.
NewFile written(const std::string& path, NamedTensors tensors) {
  std::stable_sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {
    const auto size_a = a.second.element_size(), size_b = b.second.element_size();
    return size_a != size_b ? size_a > size_b : a.first < b.first;
  });
  NewFile file(path);
  const auto header = header_of(tensors);
  const uint64_t length = header.size();
  file.write(&length, 8);
  file.write(header.data(), header.size());
  for (const auto& [name, tensor] : tensors) {
    const auto values = tensor.detach().cpu().contiguous();
    file.write(values.const_data_ptr(), values.nbytes());
  }
  file.close();
  return file;
}

}  // namespace

Tensors read_safetensors(const std::string& path, std::optional<torch::Dtype> kept) {
  const auto file = std::make_shared<MappedFile>(path, kept.has_value());
  try {
    return tensors_of(file, kept);
  } catch (const std::runtime_error& error) {
    throw std::runtime_error("cannot read " + path + ": " + error.what());
  }
}

void write_safetensors(const std::string& path, const NamedTensors& tensors) {
  written(path, tensors).commit();
}

void write_safetensors(const std::vector<std::pair<std::string, NamedTensors>>& files,
                       const std::vector<std::string>& outdated) {
  std::vector<NewFile> closed;
  for (const auto& [path, tensors] : files) closed.push_back(written(path, tensors));
  for (const auto& path : outdated) std::filesystem::remove(path);
  for (auto& file : closed) file.commit();
}

}  // namespace dece

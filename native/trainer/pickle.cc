#include "pickle.h"

#include <cstring>
#include <deque>
#include <set>
#include <stdexcept>
#include <unordered_map>
#include <variant>

#include "names.h"

namespace dece {

namespace {

struct Value;
// Values live as long as the reader: a hostile pickle may well put a list into itself.
using Values = std::vector<const Value*>;

struct None {};
struct Real {};  // no state dict needs what it is
struct Global {
  std::string name;
};
struct Storage {
  std::string type;
  std::string key;
  int64_t size;
};
struct Tuple {
  Values items;
};
struct Dict {
  Values items;  // key, value, key, value
};
struct List {
  Values items;
};

struct Value {
  std::variant<None, bool, int64_t, Real, std::string, Global, Storage, Tuple, Dict, List,
               PickledTensor>
      content;
};

constexpr std::string_view ordered_dict = "collections.OrderedDict";
constexpr std::string_view rebuild_tensor = "torch._utils._rebuild_tensor_v2";
constexpr std::string_view rebuild_parameter = "torch._utils._rebuild_parameter";
constexpr std::string_view storage_prefix = "torch.";
constexpr std::string_view storage_types[] = {
    "FloatStorage", "HalfStorage",  "BFloat16Storage", "DoubleStorage", "LongStorage",
    "IntStorage",   "ShortStorage", "CharStorage",     "ByteStorage",   "BoolStorage",
};

// Two pickles: torch.save's number for its files, and 1001, the version of their format.
constexpr std::string_view old_file_start(
    "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.", 21);

// What a small pickle could otherwise have copied without end.
constexpr size_t longest_key = 100;
constexpr size_t most_dimensions = 64;
constexpr size_t most_tensors = 100'000;
const std::string too_many = "has more than " + std::to_string(most_tensors) + " tensors";

bool is_storage(std::string_view name) {
  for (const auto type : storage_types) {
    if (name.starts_with(storage_prefix) && name.substr(storage_prefix.size()) == type) return true;
  }
  return false;
}

class Reader {
 public:
  explicit Reader(std::string_view text, size_t begin = 0) : text_(text), at_(begin) {}

  // Behind what was read.
  size_t end() const { return at_; }

  // Of the file before 1.6: what the machine was like that wrote it.
  void little_endian() {
    const auto* dict = std::get_if<Dict>(&run()->content);
    if (!dict) fail("says nothing of its numbers");
    for (size_t i = 0; i < dict->items.size(); i += 2) {
      const auto* name = std::get_if<std::string>(&dict->items[i]->content);
      if (!name || *name != "little_endian") continue;
      if (get<bool>(dict->items[i + 1], "true or false")) return;
      fail("says that numbers are big-endian: expected little-endian ones");
    }
    fail("does not say whether numbers are little-endian");
  }

  std::vector<std::string> storage_keys() {
    const auto& items = get<List>(run(), "a list").items;
    if (items.size() > most_tensors) fail(too_many);
    std::vector<std::string> found;
    for (const auto* item : items) found.push_back(storage_key(item));
    return found;
  }

  PickledTensors state_dict() {
    const auto* dict = std::get_if<Dict>(&run()->content);
    if (!dict) fail("holds no state dict but something else: expected tensors by name");
    PickledTensors tensors;
    std::set<std::string_view> names;
    for (size_t i = 0; i < dict->items.size(); i += 2) {
      const auto* name = std::get_if<std::string>(&dict->items[i]->content);
      if (!name) fail("has a tensor whose name is no text");
      check_tensor_name(*name);
      if (!names.insert(*name).second) fail("has " + printable(*name) + " twice");
      if (names.size() > most_tensors) fail(too_many);
      const auto* tensor = std::get_if<PickledTensor>(&dict->items[i + 1]->content);
      if (!tensor) fail("has " + printable(*name) + ", which is no tensor: expected a state dict");
      tensors.emplace_back(*name, *tensor);
    }
    return tensors;
  }

 private:
  const Value* run() {
    for (;;) {
      const auto code = static_cast<unsigned char>(take(1)[0]);
      if (code == '.') return pop();
      step(code);
    }
  }

  void step(unsigned char code) {
    switch (code) {
      case 0x80:  // PROTO
        if (const auto version = number(1); version < 2 || version > 5) {
          fail("has protocol " + std::to_string(version) + ": expected 2 to 5");
        }
        return;
      case 0x95:  // FRAME
        take(8);
        return;
      case 'c': {  // GLOBAL
        const auto module = line();
        return global(module, line());
      }
      case 0x93: {  // STACK_GLOBAL
        const auto& name = text(pop());
        return global(text(pop()), name);
      }
      case 'R':  // REDUCE
        return call();
      case 'b':  // BUILD: what else a dict has, such as _metadata
        pop();
        dict();
        return;
      case 'Q':  // BINPERSID
        return push(storage(items(pop())));
      case '(':  // MARK
        marks_.push_back(stack_.size());
        return;
      case '0':  // POP
        pop();
        return;
      case ')':  // EMPTY_TUPLE
        return push(Tuple{});
      case 't':  // TUPLE
        return push(Tuple{to_mark()});
      case 0x85:  // TUPLE1 to TUPLE3
      case 0x86:
      case 0x87:
        return push(Tuple{last(code - 0x84)});
      case '}':  // EMPTY_DICT
        return push(Dict{});
      case 's':  // SETITEM
        return set(last(2));
      case 'u':  // SETITEMS
        return set(to_mark());
      case ']':  // EMPTY_LIST
        return push(List{});
      case 'a':  // APPEND
        return append(last(1));
      case 'e':  // APPENDS
        return append(to_mark());
      case 'X':  // BINUNICODE
        return push(std::string(take(number(4))));
      case 0x8c:  // SHORT_BINUNICODE
        return push(std::string(take(number(1))));
      case 'K':  // BININT1
        return push(int64_t(number(1)));
      case 'M':  // BININT2
        return push(int64_t(number(2)));
      case 'J':  // BININT
        return push(int64_t(int32_t(number(4))));
      case 0x8a:  // LONG1
        return push(long_integer(number(1)));
      case 'G':  // BINFLOAT
        take(8);
        return push(Real{});
      case 'N':  // NONE
        return push(None{});
      case 0x88:  // NEWTRUE
        return push(true);
      case 0x89:  // NEWFALSE
        return push(false);
      case 'q':  // BINPUT
        return remember(number(1));
      case 'r':  // LONG_BINPUT
        return remember(number(4));
      case 0x94:  // MEMOIZE
        return remember(memo_.size());
      case 'h':  // BINGET
        return recall(number(1));
      case 'j':  // LONG_BINGET
        return recall(number(4));
      default:
        fail("has the operation " + std::to_string(code) + ", which no state dict needs");
    }
  }

  void global(std::string_view module, std::string_view attribute) {
    auto name = std::string(module) + '.' + std::string(attribute);
    if (name != ordered_dict && name != rebuild_tensor && name != rebuild_parameter &&
        !is_storage(name)) {
      fail("calls for " + printable(name) + ", which no state dict needs: nothing was run");
    }
    push(Global{std::move(name)});
  }

  void call() {
    const auto& arguments = items(pop());
    const auto* function = std::get_if<Global>(&pop()->content);
    if (!function) fail("calls what is no function");
    if (function->name == ordered_dict && arguments.empty()) return push(Dict{});
    if (++tensors_ > most_tensors) fail(too_many);
    // A seventh would be what else to do with the numbers, such as to negate them.
    if (function->name == rebuild_tensor && arguments.size() >= 4 && arguments.size() <= 6) {
      return push(tensor(arguments));
    }
    if (function->name == rebuild_parameter && !arguments.empty()) {
      return push(get<PickledTensor>(arguments[0], "a tensor"));
    }
    fail("calls " + function->name + " with arguments of another kind");
  }

  // (storage, offset, sizes, strides, ...)
  PickledTensor tensor(const Values& arguments) {
    const auto& [type, key, size] = get<Storage>(arguments[0], "a storage");
    return {type,
            key,
            size,
            get<int64_t>(arguments[1], "a number"),
            integers(arguments[2]),
            integers(arguments[3])};
  }

  // ("storage", type, key, device, elements), and before 1.6 None, or of what it is a part
  Storage storage(const Values& id) {
    const bool whole = id.size() == 5 || (id.size() == 6 && holds<None>(id[5]));
    if (!whole || text(id[0]) != "storage") fail("refers to something else than a storage");
    const auto& type = get<Global>(id[1], "a kind of storage").name;
    if (!is_storage(type)) fail("refers to a storage of the kind " + type);
    const auto& key = storage_key(id[2]);
    return {type.substr(storage_prefix.size()), key, get<int64_t>(id[4], "a number")};
  }

  const std::string& storage_key(const Value* value) const {
    const auto& key = text(value);
    if (key.size() > longest_key) fail("has a storage with a key of another kind");
    return key;
  }

  std::vector<int64_t> integers(const Value* value) {
    std::vector<int64_t> numbers;
    if (items(value).size() > most_dimensions) fail("has a tensor of too many dimensions");
    for (const auto* item : items(value)) numbers.push_back(get<int64_t>(item, "a number"));
    return numbers;
  }

  void set(const Values& pairs) {
    auto& items = dict();
    if (pairs.size() % 2 != 0) fail("has a key without a value");
    items.insert(items.end(), pairs.begin(), pairs.end());
  }

  // What is on top of the stack and stays there.
  Values& dict() {
    if (const auto found = top(); auto* dict = std::get_if<Dict>(&found->content)) {
      return dict->items;
    }
    fail("adds to what is no dict");
  }

  void append(const Values& more) {
    auto* list = std::get_if<List>(&top()->content);
    if (!list) fail("adds to what is no list");
    list->items.insert(list->items.end(), more.begin(), more.end());
  }

  template <typename Kind>
  const Kind& get(const Value* value, const char* expected) const {
    if (const auto* found = std::get_if<Kind>(&value->content)) return *found;
    std::string what = "has something else where it needs ";
    fail(what.append(expected));
  }

  template <typename Kind>
  static bool holds(const Value* value) {
    return std::holds_alternative<Kind>(value->content);
  }

  const std::string& text(const Value* value) const { return get<std::string>(value, "a text"); }
  const Values& items(const Value* value) const { return get<Tuple>(value, "a tuple").items; }

  template <typename Content>
  void push(Content content) {
    stack_.push_back(&values_.emplace_back(Value{std::move(content)}));
  }

  // The items above the last mark, or all where there is none, may be taken.
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }

  Value* top() const {
    if (stack_.size() <= floor()) fail("takes more than it has");
    return stack_.back();
  }

  const Value* pop() {
    const auto* value = top();
    stack_.pop_back();
    return value;
  }

  Values last(size_t count) {
    if (stack_.size() < floor() + count) fail("takes more than it has");
    const Values taken(stack_.end() - ptrdiff_t(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return taken;
  }

  Values to_mark() {
    if (marks_.empty()) fail("takes more than it has");
    const auto taken = last(stack_.size() - marks_.back());
    marks_.pop_back();
    return taken;
  }

  void remember(uint64_t key) { memo_[key] = top(); }

  void recall(uint64_t key) {
    const auto found = memo_.find(key);
    if (found == memo_.end()) fail("recalls what it never had");
    stack_.push_back(found->second);
  }

  std::string_view take(uint64_t count) {
    if (count > text_.size() - at_) fail("ends too early");
    at_ += count;
    return text_.substr(at_ - count, count);
  }

  uint64_t number(int bytes) {
    uint64_t value = 0;
    std::memcpy(&value, take(uint64_t(bytes)).data(), size_t(bytes));
    return value;
  }

  // Two's complement of so many bytes.
  int64_t long_integer(uint64_t bytes) {
    if (bytes > 8) fail("has a number too large");
    if (bytes == 0) return 0;
    const int unused = 64 - 8 * int(bytes);
    return int64_t(number(int(bytes)) << unused) >> unused;
  }

  std::string_view line() {
    const auto end = text_.find('\n', at_);
    if (end == text_.npos) fail("ends too early");
    const auto found = take(end - at_);
    at_++;
    return found;
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw std::runtime_error("its pickle " + what + ", at byte " + std::to_string(at_));
  }

  std::string_view text_;
  size_t at_;
  std::deque<Value> values_;
  std::vector<Value*> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint64_t, Value*> memo_;
  size_t tensors_ = 0;
};

}  // namespace

PickledTensors unpickle_state_dict(std::string_view pickle) { return Reader(pickle).state_dict(); }

OldPickles unpickle_old_file(std::string_view file) {
  if (!file.starts_with(old_file_start)) {
    throw std::runtime_error("it is no file of torch.save");
  }
  Reader machine(file, old_file_start.size());
  machine.little_endian();
  Reader state(file, machine.end());
  auto tensors = state.state_dict();
  Reader keys(file, state.end());
  auto storage_keys = keys.storage_keys();
  return {std::move(tensors), std::move(storage_keys), keys.end()};
}

}  // namespace dece

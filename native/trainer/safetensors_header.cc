#include "safetensors_header.h"

#include <limits>
#include <stdexcept>

#include "names.h"

namespace dece {

namespace {

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::map<std::string, HeaderEntry> entries() {
    std::map<std::string, HeaderEntry> found;
    object([&](std::string name) {
      if (name == "__metadata__") {
        object([&](const std::string&) { string(); });
        return;
      }
      check_tensor_name(name);
      if (const auto entry = this->entry(); !found.emplace(name, entry).second) {
        fail("names the tensor " + name + " twice");
      }
    });
    space();
    if (at_ != text_.size()) fail("goes on after its end");
    return found;
  }

 private:
  HeaderEntry entry() {
    HeaderEntry entry;
    bool has_dtype = false, has_shape = false, has_offsets = false;
    const auto once = [this](bool& seen) {
      if (seen) fail("repeats a key of a tensor");
      seen = true;
    };
    object([&](const std::string& key) {
      if (key == "dtype") {
        once(has_dtype);
        entry.dtype = string();
      } else if (key == "shape") {
        once(has_shape);
        entry.shape = integers();
      } else if (key == "data_offsets") {
        once(has_offsets);
        const auto offsets = integers();
        if (offsets.size() != 2) fail("has data_offsets that are not two numbers");
        entry.begin = offsets[0];
        entry.end = offsets[1];
      } else {
        fail("has the unknown key " + json_string(printable(key)));
      }
    });
    if (!has_dtype || !has_shape || !has_offsets) {
      fail("has a tensor without dtype, shape or data_offsets");
    }
    return entry;
  }

  template <typename Member>
  void object(Member member) {
    expect('{');
    if (skip('}')) return;
    do {
      space();
      auto key = string();
      expect(':');
      member(std::move(key));
    } while (skip(','));
    expect('}');
  }

  std::vector<uint64_t> integers() {
    std::vector<uint64_t> values;
    expect('[');
    if (skip(']')) return values;
    do values.push_back(integer());
    while (skip(','));
    expect(']');
    return values;
  }

  uint64_t integer() {
    space();
    const size_t start = at_;
    uint64_t value = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; at_++) {
      const uint64_t digit = text_[at_] - '0';
      if (value > (std::numeric_limits<int64_t>::max() - digit) / 10)
        fail("has a number too large");
      value = value * 10 + digit;
    }
    if (at_ == start) fail("lacks a whole number");
    return value;
  }

  std::string string() {
    expect('"');
    std::string value;
    while (peek() != '"') {
      if (static_cast<unsigned char>(peek()) < 0x20) fail("has a control character in a string");
      if (peek() != '\\') {
        value += text_[at_++];
        continue;
      }
      at_++;
      const char escape = peek();
      at_++;
      switch (escape) {
        case '"':
        case '\\':
        case '/':
          value += escape;
          break;
        case 'b':
          value += '\b';
          break;
        case 'f':
          value += '\f';
          break;
        case 'n':
          value += '\n';
          break;
        case 'r':
          value += '\r';
          break;
        case 't':
          value += '\t';
          break;
        case 'u':
          append_utf8(value, code_point());
          break;
        default:
          fail("has an unknown escape in a string");
      }
    }
    at_++;
    return value;
  }

  uint32_t hex4() {
    uint32_t value = 0;
    for (int i = 0; i < 4; i++, at_++) {
      const char digit = peek();
      value = value * 16;
      if (digit >= '0' && digit <= '9')
        value += digit - '0';
      else if (digit >= 'a' && digit <= 'f')
        value += digit - 'a' + 10;
      else if (digit >= 'A' && digit <= 'F')
        value += digit - 'A' + 10;
      else
        fail("has a broken \\u escape");
    }
    return value;
  }

  uint32_t code_point() {
    const uint32_t high = hex4();
    if (high < 0xd800 || high > 0xdfff) return high;
    if (high > 0xdbff || text_.substr(at_, 2) != "\\u") fail("has half a surrogate pair");
    at_ += 2;
    const uint32_t low = hex4();
    if (low < 0xdc00 || low > 0xdfff) fail("has half a surrogate pair");
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
  }

  static void append_utf8(std::string& text, uint32_t code) {
    if (code < 0x80) {
      text += char(code);
      return;
    }
    const int tail = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    constexpr unsigned char leads[] = {0, 0xc0, 0xe0, 0xf0};
    text += char(leads[tail] | (code >> (6 * tail)));
    for (int i = tail - 1; i >= 0; i--) text += char(0x80 | ((code >> (6 * i)) & 0x3f));
  }

  void space() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != text_.npos) at_++;
  }

  char peek() {
    if (at_ >= text_.size()) fail("ends too early");
    return text_[at_];
  }

  bool skip(char wanted) {
    space();
    if (peek() != wanted) return false;
    at_++;
    return true;
  }

  void expect(char wanted) {
    if (!skip(wanted)) fail(std::string("lacks a '") + wanted + "'");
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw std::runtime_error("the header " + what + ", at byte " + std::to_string(at_));
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

std::map<std::string, HeaderEntry> parse_safetensors_header(std::string_view text) {
  return Parser(text).entries();
}

std::string json_string(std::string_view text) {
  constexpr char digits[] = "0123456789abcdef";
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      quoted += "\\u00";
      quoted += digits[c >> 4];
      quoted += digits[c & 15];
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

}  // namespace dece

#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace contactd::projections {

// A stored record that isn't what its table holds: the database is damaged or another release's.
struct CorruptRecord : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Whole numbers are stored big-endian, so that they sort as bytes the way they count.
template <class Number>
void append_number(std::string& out, Number value) {
  using Bits = std::make_unsigned_t<Number>;
  const auto bits = static_cast<std::uint64_t>(static_cast<Bits>(value));
  char bytes[sizeof(Number)];
  for (std::size_t i = 0; i < sizeof(Number); ++i) {
    bytes[i] =
        static_cast<char>(static_cast<unsigned char>(bits >> (8 * (sizeof(Number) - 1 - i))));
  }
  out.append(bytes, sizeof(Number));
}

// A length (32 bits), then the bytes.
inline void append_bytes(std::string& out, std::string_view bytes) {
  append_number(out, static_cast<std::uint32_t>(bytes.size()));
  out += bytes;
}

// LEB128: seven bits a byte, the lowest first.
inline void append_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80U; value >>= 7U) {
    out += static_cast<char>(static_cast<unsigned char>((value & 0x7FU) | 0x80U));
  }
  out += static_cast<char>(static_cast<unsigned char>(value));
}

// Takes values off the front of a record. Throws CorruptRecord where the record is too short.
class BinaryReader {
 public:
  explicit BinaryReader(std::string_view record) : rest_(record) {}

  template <class Number>
  Number number() {
    const std::string_view bytes = take(sizeof(Number));
    std::uint64_t value = 0;
    for (const char byte : bytes) value = value << 8U | static_cast<unsigned char>(byte);
    return static_cast<Number>(value);
  }
  std::string_view bytes() { return take(number<std::uint32_t>()); }
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1).front());
      value |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
      if ((byte & 0x80U) == 0) return value;
    }
    throw CorruptRecord("a number runs past 64 bits");
  }
  std::string_view take(std::size_t count) {
    if (rest_.size() < count) throw CorruptRecord("a record ends too early");
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

}  // namespace contactd::projections

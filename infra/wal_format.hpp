#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>

namespace contactd::infra {

// How RocksDB writes a write-ahead log (WAL), by db/log_format.h of its source, which its
// compatibility rests on: blocks of 32 KiB with records in them. A write that doesn't fit into the
// rest of a block is several records. Where less than a header is left of a block, there are zeros.
// A WAL may be written over an older one, of which the rest then stands behind the last record; so
// each record of such a one has the number of its own WAL.
constexpr std::size_t wal_block_bytes = 32'768;

struct WalRecord {
  std::size_t bytes = 0;         // with its header
  std::size_t header_bytes = 0;  // less than that at the end of a block is left empty
  bool begins_a_write = false;
  bool ends_a_write = false;
  std::string_view payload;  // of the write, or its part of it
};

// The record at the beginning of `block`, the rest of one, if there is a valid one of that WAL. It
// holds as long as `block` does.
std::optional<WalRecord> wal_record_at(std::string_view block, std::uint32_t wal_number);

// Whether a record that begins so would be a recyclable one, valid or not.
bool begins_recyclable(std::string_view block);

// 000012.log: 12. Nothing if it is no name of a WAL.
std::optional<std::uint32_t> wal_number_of(const std::filesystem::path& file);

// A little-endian number, as RocksDB writes them.
template <class Number>
Number wal_number_at(std::string_view bytes, std::size_t at) {
  Number value = 0;
  for (std::size_t i = sizeof(Number); i > 0; --i) {
    value = static_cast<Number>(value << 8U) | static_cast<unsigned char>(bytes[at + i - 1]);
  }
  return value;
}

}  // namespace contactd::infra

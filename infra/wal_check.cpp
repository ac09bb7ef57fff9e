#include "infra/wal_check.hpp"

#include <algorithm>
#include <boost/crc.hpp>
#include <charconv>
#include <fstream>
#include <string_view>
#include <vector>

#include "infra/errors.hpp"

namespace contactd::infra {
namespace {

// The format of db/log_format.h in RocksDB, which its compatibility rests on: blocks of 32 KiB with
// records in them; a write that doesn't fit is several records. Numbers are little-endian.
//
//   crc:4  length:2  type:1  [log-number:4, where the type is a recyclable one]  payload
//
// A write's payload begins with its sequence number:8.
constexpr std::size_t block_bytes = 32'768;
constexpr std::size_t header_bytes = 7;
constexpr std::size_t recyclable_header_bytes = 11;
constexpr std::size_t type_at = 6;
enum RecordType : std::uint8_t {
  full = 1,
  first = 2,
  last = 4,
  recyclable_full = 5,
  recyclable_first = 6,
  recyclable_last = 8,
};

using Crc32c = boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true>;

template <class Number>
Number number_at(std::string_view bytes, std::size_t at) {
  Number value = 0;
  for (std::size_t i = sizeof(Number); i > 0; --i) {
    value = static_cast<Number>(value << 8U) | static_cast<unsigned char>(bytes[at + i - 1]);
  }
  return value;
}

std::uint32_t masked(std::uint32_t crc) { return ((crc >> 15U) | (crc << 17U)) + 0xa282ead8U; }

struct Record {
  std::size_t size = 0;
  bool begins_a_write = false;
  std::uint64_t sequence = 0;  // where it does
};

// The record at the beginning of `block`, the rest of one; nothing if there is no valid one of this
// log.
std::optional<Record> record_at(std::string_view block, std::uint32_t log_number) {
  if (block.size() < header_bytes) return std::nullopt;
  const auto type = static_cast<std::uint8_t>(block[type_at]);
  if (type < full || type > recyclable_last) return std::nullopt;
  const bool recyclable = type > last;
  const std::size_t header = recyclable ? recyclable_header_bytes : header_bytes;
  const std::size_t length = static_cast<unsigned char>(block[4]) +
                             256U * static_cast<std::size_t>(static_cast<unsigned char>(block[5]));
  if (block.size() < header + length) return std::nullopt;
  if (recyclable && number_at<std::uint32_t>(block, header_bytes) != log_number) {
    return std::nullopt;
  }
  Crc32c crc;
  crc.process_bytes(block.data() + type_at, header - type_at + length);
  if (masked(crc.checksum()) != number_at<std::uint32_t>(block, 0)) return std::nullopt;
  Record record{header + length, false, 0};
  record.begins_a_write =
      type == full || type == first || type == recyclable_full || type == recyclable_first;
  if (record.begins_a_write && length >= sizeof(std::uint64_t)) {
    record.sequence = number_at<std::uint64_t>(block, header);
  }
  return record;
}

std::optional<WalDamage> damage_in(const std::filesystem::path& file, std::string_view bytes,
                                   std::uint32_t log_number) {
  std::optional<std::size_t> damaged_at;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t block_end = std::min(bytes.size(), (at / block_bytes + 1) * block_bytes);
    const auto record = record_at(bytes.substr(at, block_end - at), log_number);
    if (!record) {
      // The end of a block that had no room for another header is no damage.
      if (!damaged_at && block_end - at >= recyclable_header_bytes) damaged_at = at;
      at = damaged_at ? at + 1 : block_end;
      continue;
    }
    if (damaged_at && record->begins_a_write) return WalDamage{file, *damaged_at, record->sequence};
    at += record->size;
  }
  return std::nullopt;
}

std::string content_of(const std::filesystem::path& file) {
  std::ifstream stream{file, std::ios::binary};
  std::string bytes{std::istreambuf_iterator<char>{stream}, {}};
  if (!stream.is_open() || stream.bad()) {
    throw StoreUnavailable("can't read " + file.string() + "; check the disk and its permissions");
  }
  return bytes;
}

// 000012.log: 12
std::optional<std::uint32_t> log_number_of(const std::filesystem::path& file) {
  const std::string stem = file.stem().string();
  std::uint32_t number = 0;
  const auto [end, ec] = std::from_chars(stem.data(), stem.data() + stem.size(), number);
  if (file.extension() != ".log" || ec != std::errc{} || end != stem.data() + stem.size()) {
    return std::nullopt;
  }
  return number;
}

}  // namespace

std::optional<WalDamage> find_wal_damage(const std::filesystem::path& directory) {
  std::error_code absent;
  for (const auto& entry : std::filesystem::directory_iterator{directory, absent}) {
    const auto number = log_number_of(entry.path());
    if (!number) continue;
    if (auto damage = damage_in(entry.path(), content_of(entry.path()), *number)) return damage;
  }
  return std::nullopt;
}

}  // namespace contactd::infra

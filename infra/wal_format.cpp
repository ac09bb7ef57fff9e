#include "infra/wal_format.hpp"

#include <boost/crc.hpp>
#include <charconv>
#include <string>

namespace contactd::infra {
namespace {

//   crc:4  length:2  type:1  [wal-number:4, where the type is a recyclable one]  payload
constexpr std::size_t plain_header_bytes = 7;
constexpr std::size_t recyclable_header_bytes = 11;
constexpr std::size_t length_at = 4;
constexpr std::size_t type_at = 6;
constexpr std::size_t wal_number_at_byte = 7;
enum RecordType : std::uint8_t {
  full = 1,
  first = 2,
  last = 4,
  recyclable_full = 5,
  recyclable_first = 6,
  recyclable_last = 8,
};

using Crc32c = boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true>;

std::uint32_t masked(std::uint32_t crc) { return ((crc >> 15U) | (crc << 17U)) + 0xa282ead8U; }

}  // namespace

bool begins_recyclable(std::string_view block) {
  if (block.size() < plain_header_bytes) return false;
  const auto type = static_cast<std::uint8_t>(block[type_at]);
  return type > last && type <= recyclable_last;
}

std::optional<WalRecord> wal_record_at(std::string_view block, std::uint32_t wal_number) {
  if (block.size() < plain_header_bytes) return std::nullopt;
  const auto type = static_cast<std::uint8_t>(block[type_at]);
  if (type < full || type > recyclable_last) return std::nullopt;
  WalRecord record;
  const bool recyclable = begins_recyclable(block);
  record.header_bytes = recyclable ? recyclable_header_bytes : plain_header_bytes;
  const std::size_t length = wal_number_at<std::uint16_t>(block, length_at);
  record.bytes = record.header_bytes + length;
  if (block.size() < record.bytes) return std::nullopt;
  if (recyclable && wal_number_at<std::uint32_t>(block, wal_number_at_byte) != wal_number) {
    return std::nullopt;
  }
  Crc32c crc;
  crc.process_bytes(block.data() + type_at, record.bytes - type_at);
  if (masked(crc.checksum()) != wal_number_at<std::uint32_t>(block, 0)) return std::nullopt;
  record.begins_a_write =
      type == full || type == first || type == recyclable_full || type == recyclable_first;
  record.ends_a_write =
      type == full || type == last || type == recyclable_full || type == recyclable_last;
  record.payload = block.substr(record.header_bytes, length);
  return record;
}

std::optional<std::uint32_t> wal_number_of(const std::filesystem::path& file) {
  const std::string stem = file.stem().string();
  std::uint32_t number = 0;
  const auto [end, ec] = std::from_chars(stem.data(), stem.data() + stem.size(), number);
  if (file.extension() != ".log" || ec != std::errc{} || end != stem.data() + stem.size()) {
    return std::nullopt;
  }
  return number;
}

}  // namespace contactd::infra

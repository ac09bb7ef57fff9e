#include "infra/wal_check.hpp"

#include <algorithm>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "infra/errors.hpp"
#include "infra/wal_format.hpp"
#include "projections/binary.hpp"

namespace contactd::infra {
namespace {

// The payload of a write, by db/write_batch.cc of RocksDB:
//
//   sequence:8  count:4  and of each entry: tag:1  key-length:1  key  value-length  value
//
// As infra/embedded_event_log writes them, each puts a key that is an offset.
constexpr std::size_t count_at = 8;
constexpr std::size_t tag_at = 12;
constexpr char tag_put = 1;
constexpr std::size_t key_at = 14;
constexpr std::size_t key_bytes = sizeof(std::uint64_t);
constexpr std::size_t head_bytes = key_at + key_bytes;

struct Offsets {
  std::uint64_t first = 0;
  std::uint64_t next = 0;  // after the last
};

// Nothing if the write has no records.
std::optional<Offsets> offsets_of(std::string_view write) {
  if (write.size() < head_bytes || write[tag_at] != tag_put ||
      static_cast<std::size_t>(static_cast<unsigned char>(write[tag_at + 1])) != key_bytes) {
    return std::nullopt;
  }
  const auto first =
      projections::BinaryReader{write.substr(key_at, key_bytes)}.number<std::uint64_t>();
  return Offsets{first, first + wal_number_at<std::uint32_t>(write, count_at)};
}

class Search {
 public:
  void look_at(const std::filesystem::path& file, std::string_view bytes, std::uint32_t number) {
    const bool recyclable_only = bytes.empty() || begins_recyclable(bytes);
    bool damaged = false;
    if (!valid_to_) valid_to_ = {file, 0};
    head_.reset();
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t block_end =
          std::min(bytes.size(), (at / wal_block_bytes + 1) * wal_block_bytes);
      const std::string_view rest = bytes.substr(at, block_end - at);
      const bool possible = !recyclable_only || begins_recyclable(rest);
      const auto record = possible ? wal_record_at(rest, number) : std::nullopt;
      if (!record) {
        damaged = damaged || rest.size() >= header_bytes_max;
        if (damaged) head_.reset();
        at = damaged ? at + 1 : block_end;  // else it is the end of a block without room
        continue;
      }
      take(*record);
      at += record->bytes;
      valid_to_ = {file, at};
    }
  }

  std::vector<WalGap> gaps() && { return std::move(gaps_); }

 private:
  static constexpr std::size_t header_bytes_max = 11;
  struct Place {
    std::filesystem::path file;
    std::uint64_t byte = 0;
  };

  void take(const WalRecord& record) {
    if (record.begins_a_write) head_.emplace();
    if (!head_) return;  // the rest of a write whose beginning is missing
    const std::size_t before = head_->size();
    head_->append(record.payload.substr(0, head_bytes - before));
    const auto offsets = offsets_of(*head_);
    if (!offsets) return;
    if (before < head_bytes) expect(offsets->first);
    if (record.ends_a_write) next_ = std::max(next_, offsets->next);
  }

  // A write begins at `offset`.
  void expect(std::uint64_t offset) {
    if (offset > next_) gaps_.push_back({valid_to_->file, valid_to_->byte, offset - 1});
    next_ = std::max(next_, offset);
  }

  std::vector<WalGap> gaps_;
  std::uint64_t next_ = 0;           // the offset that comes after all valid writes
  std::optional<Place> valid_to_;    // where the last valid record ends
  std::optional<std::string> head_;  // how the write that is under way begins
};

// Nothing if it has gone: its writer has done with it.
std::optional<std::string> content_of(const std::filesystem::path& file) {
  std::error_code ec;
  std::ifstream stream{file, std::ios::binary};
  const auto size = std::filesystem::file_size(file, ec);
  std::string bytes(ec ? 0 : size, '\0');
  stream.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!ec && stream.is_open() && !stream.bad()) {
    bytes.resize(static_cast<std::size_t>(stream.gcount()));
    return bytes;
  }
  if (!std::filesystem::exists(file, ec) && !ec) return std::nullopt;
  throw StoreUnavailable("can't read " + file.string() + "; check the disk and its permissions");
}

}  // namespace

std::vector<WalGap> find_wal_gaps(const std::filesystem::path& directory) {
  std::map<std::uint32_t, std::filesystem::path> files;
  std::error_code ec;
  std::filesystem::directory_iterator at{directory, ec};
  for (; !ec && at != std::filesystem::directory_iterator{}; at.increment(ec)) {
    if (const auto number = wal_number_of(at->path())) files.emplace(*number, at->path());
  }
  if (ec && ec != std::errc::no_such_file_or_directory) {
    throw StoreUnavailable("can't read " + directory.string() + ": " + ec.message() +
                           "; check the disk, and run this as the user whose files they are");
  }
  Search search;
  for (const auto& [number, file] : files) {
    if (const auto bytes = content_of(file)) search.look_at(file, *bytes, number);
  }
  return std::move(search).gaps();
}

}  // namespace contactd::infra

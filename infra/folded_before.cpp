#include "infra/folded_before.hpp"

#include <algorithm>
#include <limits>
#include <memory>

#include "infra/errors.hpp"
#include "infra/rocksdb_open.hpp"
#include "projections/binary.hpp"
#include "projections/key_layout.hpp"

namespace contactd::infra {
namespace {

namespace fs = std::filesystem;
namespace keys = projections::keys;

// One that was only begun to be made has none of these.
bool is_of_a_database(const fs::directory_entry& entry) {
  const fs::path name = entry.path().filename();
  return name == "CURRENT" || name.extension() == ".sst" || name.extension() == ".log";
}

bool holds_database(const fs::path& directory) {
  std::error_code ec;
  const fs::directory_iterator files{directory, ec};
  if (ec == std::errc::no_such_file_or_directory) return false;
  return ec || std::any_of(begin(files), end(files), is_of_a_database);
}

// Where they are in another format nobody here knows.
bool is_of_this_format(const RocksDb& db) {
  std::string record;
  const auto status = db->Get({}, slice(keys::format), &record);
  if (status.IsNotFound()) return true;
  require_ok(status);
  return projections::BinaryReader{record}.number<std::uint32_t>() == projections::format_version;
}

bool has_checkpoint(const RocksDb& db) {
  const std::unique_ptr<rocksdb::Iterator> at{db->NewIterator({})};
  at->Seek(keys::checkpoint(0));
  require_ok(at->status());
  return at->Valid() &&
         view(at->key()) <= keys::checkpoint(std::numeric_limits<std::uint32_t>::max());
}

}  // namespace

bool may_have_folded(const fs::path& directory) {
  if (!holds_database(directory)) return false;
  try {
    const RocksDb db{directory, {{"default", {}}}};
    return !is_of_this_format(db) || has_checkpoint(db);
  } catch (const StoreUnavailable&) {
    return true;
  } catch (const projections::CorruptRecord&) {
    return true;
  }
}

}  // namespace contactd::infra

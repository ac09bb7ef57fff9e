#include "infra/rocksdb_open.hpp"

#include "infra/errors.hpp"

namespace contactd::infra {

RocksDb::RocksDb(const std::filesystem::path& directory, const rocksdb::DBOptions& options,
                 const std::vector<Family>& families) {
  std::error_code ec;
  std::filesystem::create_directories(directory, ec);
  if (ec) {
    throw StoreUnavailable("can't create the directory " + directory.string() + ": " +
                           ec.message() + "; check its parent and its permissions");
  }
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (const Family& family : families) descriptors.emplace_back(family.name, family.options);
  rocksdb::DB* db = nullptr;
  const auto status = rocksdb::DB::Open(options, directory.string(), descriptors, &handles_, &db);
  if (!status.ok()) {
    throw StoreUnavailable("can't open " + directory.string() + ": " + status.ToString() +
                           "; is another contactd running on it, or is the disk at fault?");
  }
  db_.reset(db);
}

RocksDb::~RocksDb() {
  for (auto* handle : handles_) db_->DestroyColumnFamilyHandle(handle);
  db_->Close().PermitUncheckedError();
}

}  // namespace contactd::infra

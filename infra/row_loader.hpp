#pragma once

#include <thread>

#include "infra/rocksdb_open.hpp"
#include "infra/row_cache.hpp"

namespace contactd::infra {

// Loads the contacts' rows from the disk into the cache, on a thread of its own to which all others
// go first, until all are there or there is no more room. So the first request for a contact after
// a start costs as little as the next one.
class RowLoader {
 public:
  // REQUIRES: both outlive this.
  RowLoader(const RocksDb& db, SharedRowCache& rows);
  // Stops loading.
  ~RowLoader();
  RowLoader(const RowLoader&) = delete;
  RowLoader& operator=(const RowLoader&) = delete;

 private:
  void load(const std::stop_token& stop);

  const RocksDb& db_;
  SharedRowCache& rows_;
  std::jthread thread_;  // last: it touches the above
};

}  // namespace contactd::infra

#pragma once

#include <filesystem>
#include <memory>

#include "infra/event_log.hpp"

namespace rocksdb {
class Env;
}

namespace contactd::infra {

// The log for one process without a broker: a RocksDB database of its own, one partition, each
// batch written and synced to disk as one. A second process on the same directory is refused by
// RocksDB's lock. Offsets count from 0 without gaps.
// On the disk that `env` stands for, or else the machine's.
// Throws LogUnavailable if the directory can't be opened.
std::unique_ptr<EventLog> open_embedded_event_log(const std::filesystem::path& directory,
                                                  rocksdb::Env* env = nullptr);

}  // namespace contactd::infra

#pragma once

#include <filesystem>
#include <memory>

#include "infra/event_log.hpp"

namespace rocksdb {
class Env;
}

namespace contactd::infra {

class EmbeddedEventLog : public EventLog {
 public:
  bool has_one_writer() const final { return true; }

  // Copies all that was committed before, and perhaps more, as of one moment, into a log in
  // `directory`, which must not exist. May be called from any thread.
  virtual void copy_to(const std::filesystem::path& directory) = 0;
};

// The log for one process without a broker: a RocksDB database of its own, one partition, each
// batch written and synced to disk as one. A second process on the same directory is refused by
// RocksDB's lock. Offsets count from 0 without gaps. Several threads may read it at once.
// On the disk that `env` stands for, or else the machine's.
// Throws LogUnavailable if the directory can't be opened; projections::BrokenLog if its last record
// is damaged.
std::unique_ptr<EmbeddedEventLog> open_embedded_event_log(const std::filesystem::path& directory,
                                                          rocksdb::Env* env = nullptr);

// The same log for reading only: also while another process writes it, and of a directory that may
// not be written to. Needs a moment of a temporary directory.
// It shows what the writer has handed to the operating system. The last batch of it may not be on
// the disk yet, which can't be told from outside; only a loss of power can still take that away.
// Throws LogUnavailable if there is no log, or it can't be opened whole; BrokenLog as above.
std::unique_ptr<LogReader> open_embedded_log_reader(const std::filesystem::path& directory);

}  // namespace contactd::infra

#pragma once

#include <rocksdb/db.h>

#include <memory>
#include <string_view>

#include "infra/generations.hpp"

namespace contactd::infra {

// The rows of a range of a table, in order: those on the disk, with what the generations say of
// them laid over. Threads: one.
class MergedRows {
 public:
  // REQUIRES: the overlay and `stored` are of one moment, and of the same range.
  MergedRows(std::unique_ptr<rocksdb::Iterator> stored, Overlay overlay);

  // Goes to the first row at or after `key`.
  void seek(std::string_view key);
  bool valid() const { return valid_; }
  // REQUIRES: valid(). Both hold until next().
  std::string_view key() const;
  std::string_view value() const;
  void next();

  // Throws StoreUnavailable if the disk could not be read; to be called once valid() is false.
  void require_ok() const;

 private:
  void settle();

  std::unique_ptr<rocksdb::Iterator> stored_;
  Overlay overlay_;
  std::size_t at_ = 0;  // the next of overlay_.rows
  bool valid_ = false;
  bool in_overlay_ = false;  // the current row is overlay_.rows[at_]
};

}  // namespace contactd::infra

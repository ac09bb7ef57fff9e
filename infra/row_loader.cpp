#include "infra/row_loader.hpp"

#include <exception>
#include <memory>
#include <string>

#include "infra/background_thread.hpp"
#include "infra/log.hpp"
#include "projections/key_layout.hpp"

namespace contactd::infra {
namespace {

// How much of a file is read at once.
constexpr std::size_t read_ahead_bytes = 256U << 10U;
// How often it is looked whether to go on, in rows.
constexpr std::size_t rows_between_looks = 256;

}  // namespace

RowLoader::RowLoader(const RocksDb& db, SharedRowCache& rows) : db_(db), rows_(rows) {
  thread_ = std::jthread{[this](const std::stop_token& stop) {
    become_background_thread("row-loader");
    try {
      load(stop);
    } catch (const std::exception& problem) {
      // Whoever asks for what can't be read is told.
      spdlog::warn("projections: rows can't be loaded ahead: {}", problem.what());
    }
  }};
}

RowLoader::~RowLoader() = default;

void RowLoader::load(const std::stop_token& stop) {
  rocksdb::ReadOptions options;
  options.fill_cache = false;  // which the blocks that are asked for need
  options.readahead_size = read_ahead_bytes;
  auto* const contacts = db_.family(static_cast<std::size_t>(projections::Table::contacts));
  std::string next;
  std::size_t rows = 0;
  for (bool more = true; more && !stop.stop_requested();) {
    // An iterator shows the rows of when it was made: once some were replaced, there must be
    // another.
    const std::uint64_t age = rows_.age();
    const std::unique_ptr<rocksdb::Iterator> at{db_->NewIterator(options, contacts)};
    at->Seek(slice(next));
    while (at->Valid() && rows_.remember(age, view(at->key()), view(at->value()))) {
      if (++rows % rows_between_looks == 0 && (stop.stop_requested() || rows_.full())) return;
      at->Next();
    }
    require_ok(at->status());
    more = at->Valid();
    if (more) next = at->key().ToString();
  }
}

}  // namespace contactd::infra

#pragma once

#include <span>
#include <string>
#include <vector>

#include "infra/event_log.hpp"
#include "infra/read_store.hpp"
#include "tests/projections/log_builder.hpp"
#include "tests/projections/tables.hpp"

namespace contactd::test {

// Every row of the store as a line, its format number aside.
inline std::vector<std::string> lines_of(const infra::ReadStore& store) {
  std::vector<std::string> out;
  store.visit_all([&](projections::Table table, std::string_view key, std::string_view value) {
    if (table == projections::Table::meta && key == projections::keys::format) return;
    out.push_back(std::string{projections::name_of(table)} + ": " + printable(key) + " = " +
                  printable(value));
  });
  return out;
}

// Folds `count` events of `log` (offset = index), from the checkpoint on, as one batch.
inline void fold_some(infra::ReadStore& store, const std::vector<domain::RecordedEvent>& log,
                      std::size_t count) {
  const projections::Checkpoint from = store.checkpoint(0);
  const auto batch = store.begin();
  projections::FoldBatch fold{0, from, store, *batch};
  for (std::size_t i = 0; i < count; ++i) {
    fold.apply(from.next_offset + i, log.at(from.next_offset + i));
  }
  fold.finish();
  batch->commit();
}
inline void fold_rest(infra::ReadStore& store, const std::vector<domain::RecordedEvent>& log) {
  fold_some(store, log, log.size() - store.checkpoint(0).next_offset);
}

// Writes a log of a LogBuilder to an empty partition 0, so that offsets are as it says.
inline void write_to(infra::EventLog& log, const std::vector<domain::RecordedEvent>& events) {
  infra::Claim claim;
  for (std::size_t from = 0; from < events.size();) {
    if (std::holds_alternative<domain::WriterClaimed>(events[from].event)) {
      claim = log.claim(0, events[from++]);
      continue;
    }
    std::size_t to = from;
    while (to < events.size() && !std::holds_alternative<domain::WriterClaimed>(events[to].event)) {
      ++to;
    }
    const auto result = log.append(claim, std::span{events}.subspan(from, to - from));
    if (result != infra::AppendResult::committed) throw std::logic_error("not appended");
    from = to;
  }
}

}  // namespace contactd::test

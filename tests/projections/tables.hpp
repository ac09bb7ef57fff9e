#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "domain/event_codec.hpp"
#include "projections/fold.hpp"

namespace contactd::test {

// Bytes as a line of ASCII: what isn't printable is \x and two digits.
inline std::string printable(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '\\') {
      out += c;
    } else {
      out += "\\x";
      out += digits[byte >> 4U];
      out += digits[byte & 0x0FU];
    }
  }
  return out;
}

// What to do where rows or keys have other bytes than those that a test has frozen.
inline constexpr std::string_view other_layout =
    "Databases on disks have the bytes that the test has. If others are meant, another layout "
    "needs "
    "another format_version (projections/key_layout.hpp), so that those databases are folded anew. "
    "Raise it, then correct what the test expects; in tests/golden/events that is done by\n"
    "  CONTACTD_WRITE_GOLDEN=1 build/release/projections_test --gtest_filter='GoldenEvents.*'";

// The read models as plain maps; what the fold sees instead of a database.
class Tables final : public projections::StateReader {
 public:
  using Table = projections::Table;
  using Rows = std::map<std::string, std::string>;

  const Rows& operator[](Table table) const { return rows_[static_cast<std::size_t>(table)]; }
  Rows& operator[](Table table) { return rows_[static_cast<std::size_t>(table)]; }
  const std::array<Rows, projections::table_count>& all() const { return rows_; }

  std::shared_ptr<const projections::ContactView> contact(
      const domain::OrganizationId& organization, const domain::ContactId& contact) const override {
    const auto row = get(Table::contacts, projections::keys::contact(organization, contact));
    if (!row) return nullptr;
    return std::make_shared<const projections::ContactView>(projections::read_contact(*row));
  }
  std::optional<std::string> get(Table table, std::string_view key) const override {
    const Rows& rows = (*this)[table];
    const auto found = rows.find(std::string{key});
    if (found == rows.end()) return std::nullopt;
    return found->second;
  }
  projections::Checkpoint checkpoint(std::uint32_t partition) const {
    const auto record = get(Table::meta, projections::keys::checkpoint(partition));
    return record ? projections::read_checkpoint(*record) : projections::Checkpoint{};
  }

  // Every row as a line, for a failure that can be read.
  std::vector<std::string> lines() const {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const std::string name{projections::name_of(static_cast<Table>(i))};
      for (const auto& [key, value] : rows_[i]) {
        out.push_back(name + ": " + printable(key) + " = " + printable(value));
      }
    }
    return out;
  }

  // The writes of one fold: kept until commit(), as a database keeps them.
  class Batch final : public projections::WriteSink {
   public:
    explicit Batch(Tables& tables) : tables_(tables) {}

    void put(Table table, std::string key, std::string value) override {
      writes_.emplace_back([this, table, k = std::string{key}, v = std::string{value}] {
        tables_[table][k] = v;
        ++tables_.puts_[{table, k}];
      });
    }
    void remove(Table table, std::string key) override {
      writes_.emplace_back([this, table, k = std::string{key}] {
        tables_[table].erase(k);
        tables_.puts_.erase({table, k});
      });
    }
    void remove_once(Table table, std::string key) override {
      writes_.emplace_back([this, table, k = std::string{key}] {
        const auto puts = tables_.puts_.find({table, k});
        EXPECT_TRUE(puts != tables_.puts_.end() && puts->second == 1)
            << "remove_once of a key that wasn't put exactly once: " << printable(k);
        tables_[table].erase(k);
        tables_.puts_.erase({table, k});
      });
    }
    void remove_range(Table table, std::string begin, std::string end) override {
      writes_.emplace_back([this, table, from = std::string{begin}, to = std::string{end}] {
        ASSERT_LE(from, to);
        Rows& rows = tables_[table];
        rows.erase(rows.lower_bound(from), rows.lower_bound(to));
      });
    }
    void commit() {
      for (const auto& write : writes_) write();
      writes_.clear();
    }

   private:
    Tables& tables_;
    std::vector<std::function<void()>> writes_;
  };

 private:
  std::array<Rows, projections::table_count> rows_;
  std::map<std::pair<Table, std::string>, int> puts_;  // since the key was last removed
};

// Folds `count` events of `log` (offset = index), from the checkpoint on, as one batch.
inline std::vector<projections::FoldBatch::Result> fold_some(
    Tables& tables, const std::vector<domain::RecordedEvent>& log, std::size_t count,
    std::uint32_t partition = 0,
    projections::FoldBatch::Rows rows = projections::FoldBatch::Rows::of_each_event) {
  std::vector<projections::FoldBatch::Result> results;
  const projections::Checkpoint from = tables.checkpoint(partition);
  Tables::Batch batch{tables};
  projections::FoldBatch fold{partition, from, tables, batch, rows};
  std::vector<const domain::RecordedEvent*> coming;
  coming.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t offset = from.next_offset + i;
    coming.push_back(&log.at(offset));
  }
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t offset = from.next_offset + i;
    constexpr std::size_t block = projections::FoldBatch::foreseen_max;
    if (i % block == 0) fold.foresee(std::span{coming}.subspan(i, std::min(block, count - i)));
    results.push_back(fold.apply(offset, log.at(offset)));
  }
  fold.finish();
  batch.commit();
  return results;
}

// Folds all the rest of `log` as one batch.
inline std::vector<projections::FoldBatch::Result> fold_rest(
    Tables& tables, const std::vector<domain::RecordedEvent>& log) {
  return fold_some(tables, log, log.size() - tables.checkpoint(0).next_offset);
}

}  // namespace contactd::test

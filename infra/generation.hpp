#pragma once

#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>
#include <absl/container/flat_hash_map.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "projections/key_hash.hpp"
#include "projections/key_layout.hpp"

namespace contactd::infra {

// What was folded since the tables on the disk were last written: of each key that changed, the
// latest row. In the shape that makes a fold cheap: a contact is looked up by a hash, its history
// is a list beside it, and only what is rarely written is kept in order.
//
// Threads: many may read while nobody writes.
class Generation {
 public:
  using Table = projections::Table;
  // A key's row; nothing: it was removed.
  using Row = std::optional<std::string>;
  using Entry = std::pair<std::string_view, const Row*>;
  // From its first key up to, without, its second.
  using Range = std::pair<std::string, std::string>;

  // REQUIRES of by_update and feed: an organization's keys come in ascending order, as the log's
  // events do.
  void put(Table table, std::string key, std::string row);
  void remove(Table table, std::string key);
  // The one way to remove from by_update, each of whose keys is put exactly once. From feed nothing
  // is removed.
  void remove_update(std::string key);
  void remove_range(Table table, std::string begin, std::string end);

  // What it says of the key; null if nothing: an older generation, or the disk, knows.
  const Row* find(Table table, std::string_view key) const;

  // What it says of the keys from `begin` up to, without, `end`, in order, of the first
  // `count_max` of them; an empty `end` is the end of the table. Of by_update, within an
  // organization, that costs what it gives, however long the range is. Holds until the next change.
  static constexpr std::size_t all = std::numeric_limits<std::size_t>::max();
  std::vector<Entry> entries(Table table, std::string_view begin, std::string_view end,
                             std::size_t count_max = all) const;
  // Calls `visit` with the key and the row of each contact that it says something of, in no order.
  template <class Visit>
  void visit_contacts(const Visit& visit) const {
    for (const auto& [key, contact] : contacts_) {
      if (contact.touched) visit(std::string_view{key}, contact.row);
    }
  }
  // The rows of feed of the organization with that prefix, in order; null if it has none here.
  using FeedRows = std::vector<std::pair<std::string, Row>>;
  const FeedRows* feed_of(std::string_view organization_prefix) const;

  // What was removed by range, beneath its entries.
  const std::vector<Range>& removed_ranges(Table table) const { return removed_[index(table)]; }

  // About what it takes in memory.
  std::size_t bytes() const { return bytes_; }
  bool empty() const { return bytes_ == 0; }

 private:
  using Rows = absl::btree_map<std::string, Row, std::less<>>;
  struct Contact {
    bool touched = false;  // `row` says something
    Row row;
    std::vector<std::pair<std::string, Row>> history;  // keys as in the table, ascending
  };

  // Part of by_update: an organization's. Ascending by the offset that a key ends with, which is
  // how the keys ascend, too.
  struct Update {
    std::uint64_t offset = 0;
    std::string key;
    Row row;
    bool gone = false;  // put and removed since: this says nothing of the key
  };
  struct RemovedUpdate {
    std::uint64_t offset = 0;
    std::string key;
  };
  struct ByOffset {
    using is_transparent = void;
    bool operator()(const RemovedUpdate& a, const RemovedUpdate& b) const {
      return a.offset < b.offset;
    }
    bool operator()(const RemovedUpdate& a, std::string_view key) const { return a.key < key; }
    bool operator()(std::string_view key, const RemovedUpdate& b) const { return key < b.key; }
  };
  struct Updates {
    std::vector<Update> rows;
    absl::btree_set<RemovedUpdate, ByOffset> removed;  // of older generations
  };

  // The hash map's slots, the nodes of the trees, and what the allocator adds, a row.
  static constexpr std::size_t overhead_bytes = 96;

  static std::size_t index(Table table) { return static_cast<std::size_t>(table); }
  Contact& contact(std::string_view key);
  void set(Table table, std::string key, Row row);
  void set_history(std::string key, std::string row);
  Update* find_update(std::string_view key);
  void put_update(std::string key, std::string row);
  const Row* find_in_updates(std::string_view key) const;
  void put_feed(std::string key, std::string row);
  const Row* find_in_feed(std::string_view key) const;
  void feed_entries(std::string_view begin, std::string_view end, std::vector<Entry>& out) const;
  void update_entries(std::string_view begin, std::string_view end, std::size_t count_max,
                      std::vector<Entry>& out) const;
  void contact_entries(std::string_view begin, std::string_view end, std::vector<Entry>& out) const;
  void history_entries(std::string_view begin, std::string_view end, std::vector<Entry>& out) const;
  static void append_updates(const Updates& updates, std::string_view begin, std::string_view end,
                             std::size_t count_max, std::vector<Entry>& out);
  static void append_history(const Contact& contact, std::string_view begin, std::string_view end,
                             std::vector<Entry>& out);

  template <class Value>
  using ByKey = absl::flat_hash_map<std::string, Value, projections::KeyHash, std::equal_to<>>;

  ByKey<Contact> contacts_;                          // tables contacts and history
  ByKey<Contact>::value_type* last_ = nullptr;       // the one of them that was written last
  ByKey<Updates> updates_;                           // table by_update, by organization
  ByKey<FeedRows> feeds_;                            // table feed, by organization
  std::array<Rows, projections::table_count> rows_;  // the others
  std::array<std::vector<Range>, projections::table_count> removed_;
  std::size_t bytes_ = 0;
};

}  // namespace contactd::infra

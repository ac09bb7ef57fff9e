#include "infra/generation.hpp"

#include <algorithm>
#include <boost/sort/spreadsort/string_sort.hpp>
#include <cassert>

namespace contactd::infra {
namespace {

using projections::Table;
using projections::keys::contact_part;
using projections::keys::feed_organization_part;
using projections::keys::organization_part;

const Generation::Row removed_row;

// The sort for many keys that begin alike: by their bytes, from the first that differs, where a
// comparison would read each pair from its beginning.
template <class Item, class KeyOf>
void sort_by_key(std::vector<Item>& items, KeyOf key_of) {
  boost::sort::spreadsort::string_sort(
      items.begin(), items.end(),
      [&](const Item& item, std::size_t at) {
        return static_cast<unsigned char>(key_of(item)[at]);
      },
      [&](const Item& item) { return key_of(item).size(); },
      [&](const Item& a, const Item& b) { return key_of(a) < key_of(b); });
}

bool within(std::string_view key, std::string_view begin, std::string_view end) {
  return key >= begin && (end.empty() || key < end);
}

// Orders rows, and a row and a key, by key.
constexpr auto earlier = [](const auto& row, std::string_view key) { return row.first < key; };

}  // namespace

void Generation::put(Table table, std::string key, std::string row) {
  bytes_ += key.size() + row.size() + overhead_bytes;
  if (table == Table::history) {
    set_history(std::move(key), std::move(row));
  } else if (table == Table::by_update) {
    put_update(std::move(key), std::move(row));
  } else if (table == Table::feed) {
    put_feed(std::move(key), std::move(row));
  } else {
    set(table, std::move(key), std::move(row));
  }
}

void Generation::remove(Table table, std::string key) {
  bytes_ += key.size() + overhead_bytes;
  set(table, std::move(key), std::nullopt);
}

void Generation::remove_range(Table table, std::string begin, std::string end) {
  Rows& rows = rows_[index(table)];
  rows.erase(rows.lower_bound(begin), rows.lower_bound(end));
  bytes_ += begin.size() + end.size() + overhead_bytes;
  removed_[index(table)].emplace_back(std::move(begin), std::move(end));
}

Generation::Contact& Generation::contact(std::string_view key) {
  // An event's row and its history come one after the other.
  if (last_ == nullptr || last_->first != key) last_ = &*contacts_.try_emplace(key).first;
  return last_->second;
}

void Generation::set(Table table, std::string key, Row row) {
  if (table == Table::contacts) {
    Contact& one = contact(key);
    if (one.row) bytes_ -= std::min(bytes_, one.row->size());
    one.touched = true;
    one.row = std::move(row);
  } else {
    rows_[index(table)].insert_or_assign(std::move(key), std::move(row));
  }
}

void Generation::set_history(std::string key, std::string row) {
  auto& history = contact(contact_part(key)).history;
  history.emplace_back(std::move(key), std::move(row));
}

Generation::Update* Generation::find_update(std::string_view key) {
  const auto updates = updates_.find(organization_part(key));
  if (updates == updates_.end()) return nullptr;
  const std::uint64_t offset = projections::keys::update_position(key).offset;
  auto& rows = updates->second.rows;
  const auto at =
      std::lower_bound(rows.begin(), rows.end(), offset,
                       [](const Update& row, std::uint64_t wanted) { return row.offset < wanted; });
  return at != rows.end() && at->key == key ? &*at : nullptr;
}

void Generation::put_update(std::string key, std::string row) {
  const std::uint64_t offset = projections::keys::update_position(key).offset;
  auto& rows = updates_.try_emplace(organization_part(key)).first->second.rows;
  assert(rows.empty() || rows.back().offset < offset);
  rows.push_back({offset, std::move(key), std::move(row)});
}

void Generation::remove_update(std::string key) {
  bytes_ += key.size() + overhead_bytes;
  if (Update* update = find_update(key)) {
    update->gone = true;  // no older generation has it
    update->row.reset();
  } else {
    const std::uint64_t offset = projections::keys::update_position(key).offset;
    auto& removed = updates_.try_emplace(organization_part(key)).first->second.removed;
    removed.insert({offset, std::move(key)});
  }
}

void Generation::put_feed(std::string key, std::string row) {
  FeedRows& rows = feeds_.try_emplace(feed_organization_part(key)).first->second;
  assert(rows.empty() || rows.back().first < key);
  rows.emplace_back(std::move(key), std::move(row));
}

const Generation::FeedRows* Generation::feed_of(std::string_view organization_prefix) const {
  const auto found = feeds_.find(organization_prefix);
  return found == feeds_.end() ? nullptr : &found->second;
}

const Generation::Row* Generation::find_in_feed(std::string_view key) const {
  const FeedRows* rows = feed_of(feed_organization_part(key));
  if (rows == nullptr) return nullptr;
  const auto at = std::lower_bound(rows->begin(), rows->end(), key, earlier);
  return at != rows->end() && at->first == key ? &at->second : nullptr;
}

void Generation::feed_entries(std::string_view begin, std::string_view end,
                              std::vector<Entry>& out) const {
  std::vector<const decltype(feeds_)::value_type*> feeds;
  feeds.reserve(feeds_.size());
  for (const auto& feed : feeds_) feeds.push_back(&feed);
  sort_by_key(feeds, [](const auto* feed) { return std::string_view{feed->first}; });
  for (const auto* feed : feeds) {
    const FeedRows& rows = feed->second;
    auto at = std::lower_bound(rows.begin(), rows.end(), begin, earlier);
    for (; at != rows.end() && within(at->first, begin, end); ++at) {
      out.emplace_back(at->first, &at->second);
    }
  }
}

void Generation::update_entries(std::string_view begin, std::string_view end, std::size_t count_max,
                                std::vector<Entry>& out) const {
  // A range within one organization is what readers ask for.
  const auto one = begin.empty() ? updates_.end() : updates_.find(organization_part(begin));
  if (one != updates_.end() && end.starts_with(one->first)) {
    return append_updates(one->second, begin, end, count_max, out);
  }
  std::vector<const ByKey<Updates>::value_type*> organizations;
  organizations.reserve(updates_.size());
  for (const auto& entry : updates_) organizations.push_back(&entry);
  sort_by_key(organizations, [](const auto* entry) { return std::string_view{entry->first}; });
  for (const auto* entry : organizations) append_updates(entry->second, begin, end, count_max, out);
}

void Generation::append_updates(const Updates& updates, std::string_view begin,
                                std::string_view end, std::size_t count_max,
                                std::vector<Entry>& out) {
  auto row = std::lower_bound(
      updates.rows.begin(), updates.rows.end(), begin,
      [](const Update& update, std::string_view wanted) { return update.key < wanted; });
  auto removed = updates.removed.lower_bound(begin);
  while (out.size() < count_max) {
    while (row != updates.rows.end() && row->gone) ++row;
    const bool has_row = row != updates.rows.end() && within(row->key, begin, end);
    const bool has_removed = removed != updates.removed.end() && within(removed->key, begin, end);
    if (has_removed && (!has_row || removed->offset < row->offset)) {
      out.emplace_back(removed->key, &removed_row);
      ++removed;
    } else if (has_row) {
      out.emplace_back(row->key, &row->row);
      ++row;
    } else {
      return;
    }
  }
}

const Generation::Row* Generation::find_in_updates(std::string_view key) const {
  std::vector<Entry> found;
  update_entries(key, std::string{key} + '\0', 1, found);
  return found.empty() ? nullptr : found.front().second;
}

const Generation::Row* Generation::find(Table table, std::string_view key) const {
  if (table == Table::contacts) {
    const auto found = contacts_.find(key);
    return found == contacts_.end() || !found->second.touched ? nullptr : &found->second.row;
  }
  if (table == Table::history) {
    std::vector<Entry> found;
    history_entries(key, std::string{key} + '\0', found);
    return found.empty() ? nullptr : found.front().second;
  }
  if (table == Table::by_update) return find_in_updates(key);
  if (table == Table::feed) return find_in_feed(key);
  const Rows& rows = rows_[index(table)];
  if (const auto found = rows.find(key); found != rows.end()) return &found->second;
  for (const auto& [begin, end] : removed_[index(table)]) {
    if (within(key, begin, end)) return &removed_row;
  }
  return nullptr;
}

std::vector<Generation::Entry> Generation::entries(Table table, std::string_view begin,
                                                   std::string_view end,
                                                   std::size_t count_max) const {
  std::vector<Entry> found;
  if (table == Table::contacts) {
    contact_entries(begin, end, found);
  } else if (table == Table::history) {
    history_entries(begin, end, found);
  } else if (table == Table::by_update) {
    update_entries(begin, end, count_max, found);
  } else if (table == Table::feed) {
    feed_entries(begin, end, found);
  } else {
    const Rows& rows = rows_[index(table)];
    for (auto at = rows.lower_bound(begin);
         at != rows.end() && within(at->first, begin, end) && found.size() < count_max; ++at) {
      found.emplace_back(at->first, &at->second);
    }
  }
  if (found.size() > count_max) found.resize(count_max);
  return found;
}

void Generation::contact_entries(std::string_view begin, std::string_view end,
                                 std::vector<Entry>& out) const {
  for (const auto& [key, contact] : contacts_) {
    if (contact.touched && within(key, begin, end)) out.emplace_back(key, &contact.row);
  }
  sort_by_key(out, [](const Entry& entry) { return entry.first; });
}

void Generation::append_history(const Contact& contact, std::string_view begin,
                                std::string_view end, std::vector<Entry>& out) {
  const auto& history = contact.history;
  auto at = std::lower_bound(history.begin(), history.end(), begin, earlier);
  for (; at != history.end() && within(at->first, begin, end); ++at) {
    out.emplace_back(at->first, &at->second);
  }
}

void Generation::history_entries(std::string_view begin, std::string_view end,
                                 std::vector<Entry>& out) const {
  // A range within one contact is what readers ask for.
  const std::string_view one = contact_part(begin);
  if (!one.empty() && end.starts_with(one)) {
    const auto found = contacts_.find(one);
    if (found != contacts_.end()) append_history(found->second, begin, end, out);
    return;
  }
  // No contact's key is the beginning of another's: sorted by contact, the rows are sorted.
  std::vector<const ByKey<Contact>::value_type*> touched;
  for (const auto& entry : contacts_) {
    if (!entry.second.history.empty()) touched.push_back(&entry);
  }
  sort_by_key(touched, [](const auto* entry) { return std::string_view{entry->first}; });
  for (const auto* entry : touched) append_history(entry->second, begin, end, out);
}

}  // namespace contactd::infra

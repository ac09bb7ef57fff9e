#include "infra/merged_rows.hpp"

#include <algorithm>

#include "infra/errors.hpp"

namespace contactd::infra {

MergedRows::MergedRows(std::unique_ptr<rocksdb::Iterator> stored, Overlay overlay)
    : stored_(std::move(stored)), overlay_(std::move(overlay)) {}

void MergedRows::seek(std::string_view key) {
  stored_->Seek(slice(key));
  const auto first =
      std::lower_bound(overlay_.rows.begin(), overlay_.rows.end(), key,
                       [](const auto& row, auto wanted) { return row.first < wanted; });
  at_ = static_cast<std::size_t>(first - overlay_.rows.begin());
  settle();
}

std::string_view MergedRows::key() const {
  return in_overlay_ ? std::string_view{overlay_.rows[at_].first} : view(stored_->key());
}

std::string_view MergedRows::value() const {
  return in_overlay_ ? std::string_view{*overlay_.rows[at_].second} : view(stored_->value());
}

void MergedRows::next() {
  if (in_overlay_) {
    ++at_;
  } else {
    stored_->Next();
  }
  settle();
}

// Finds the next row that is there, from where both are.
void MergedRows::settle() {
  for (;;) {
    while (stored_->Valid() && overlay_.hides(view(stored_->key()))) stored_->Next();
    const bool more = at_ < overlay_.rows.size();
    if (more && stored_->Valid() && view(stored_->key()) == overlay_.rows[at_].first) {
      stored_->Next();  // the overlay's is the newer one
      continue;
    }
    in_overlay_ = more && (!stored_->Valid() || overlay_.rows[at_].first < view(stored_->key()));
    valid_ = in_overlay_ || stored_->Valid();
    if (!in_overlay_ || overlay_.rows[at_].second) return;
    ++at_;  // removed
  }
}

void MergedRows::require_ok() const {
  const auto status = stored_->status();
  if (status.ok()) return;
  throw StoreUnavailable("the projections' database can't be read: " + status.ToString() +
                         advice_on_projections(status));
}

}  // namespace contactd::infra

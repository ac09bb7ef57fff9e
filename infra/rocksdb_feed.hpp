#pragma once

#include <optional>
#include <vector>

#include "infra/generations.hpp"
#include "infra/rocksdb_open.hpp"
#include "projections/feed.hpp"

// ReadStore::feed() and ReadStore::feed_end(). An organization's rows only ever come at the end:
// those on the disk are older than the frozen generation's, and these than the active one's.
namespace contactd::infra {

std::vector<projections::FeedEntry> read_feed_rows(const RocksDb& db,
                                                   const Generations& generations,
                                                   const domain::OrganizationId& organization,
                                                   std::uint64_t after, std::size_t count_max);
std::optional<projections::FeedEntry> read_feed_end(const RocksDb& db,
                                                    const Generations& generations,
                                                    const domain::OrganizationId& organization);

}  // namespace contactd::infra

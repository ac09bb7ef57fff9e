#pragma once

#include "infra/read_store.hpp"
#include "infra/rocksdb_open.hpp"

// Included by rocksdb_read_store.cpp only.
namespace contactd::infra {

// Answers a list query from one snapshot of the database. `family` gives a table's column family.
ListPage list_contacts(rocksdb::DB& db,
                       const std::function<rocksdb::ColumnFamilyHandle*(projections::Table)>& family,
                       const domain::OrganizationId& organization, const ListQuery& query);

}  // namespace contactd::infra

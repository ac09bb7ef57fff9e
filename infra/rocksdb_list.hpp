#pragma once

#include "infra/read_store.hpp"
#include "infra/rocksdb_open.hpp"

// Included by rocksdb_read_store.cpp only.
namespace contactd::infra {

// Gives a table's column family.
using TableFamilies = std::function<rocksdb::ColumnFamilyHandle*(projections::Table)>;

// Answers a list query from one snapshot of the database.
ListPage list_contacts(rocksdb::DB& db, const TableFamilies& family,
                       const domain::OrganizationId& organization, const ListQuery& query);

}  // namespace contactd::infra

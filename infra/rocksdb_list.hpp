#pragma once

#include "infra/generations.hpp"
#include "infra/read_store.hpp"
#include "infra/rocksdb_open.hpp"

// Included by rocksdb_read_store.cpp only.
namespace contactd::infra {

// Gives a contact's row as it is now.
using RowReader = std::function<std::optional<std::string>(const domain::ContactId&)>;

// Answers a list query. Which contacts there are, and their order and number, are of one moment;
// the rows themselves are read afterwards, and one that doesn't match any more is left out.
ListPage list_contacts(const RocksDb& db, const Generations& generations, const RowReader& row_of,
                       const domain::OrganizationId& organization, const ListQuery& query);

}  // namespace contactd::infra

#pragma once

#include <filesystem>
#include <string>

#include "api/config.hpp"
#include "infra/errors.hpp"
#include "infra/read_store.hpp"

// What `serve` demands of its data directory, and who reads its log. Each throws
// infra::Unavailable.
namespace contactd::api {

struct UnfinishedRestore : infra::Unavailable {
  using infra::Unavailable::Unavailable;
};

// It isn't what a restore that was cut off has left. Throws UnfinishedRestore.
void require_whole(const std::filesystem::path& data_dir);

// Makes it if it isn't there; to be shown only (--read-only), it must be.
void find_or_create_data_dir(const ServeConfig& config);

// Its projections, which `store` has, are of the log of this identity; empty ones become so.
void require_same_log(const std::filesystem::path& data_dir, const std::string& identity,
                      const infra::ReadStore& store);

// Its embedded log is there, if `store` has anything that was folded from one: a new one would be
// empty.
void require_embedded_log(const std::filesystem::path& log, const infra::ReadStore& store);

// That the projections in the directory weren't folded from `log`, and what to do: a sentence.
std::string foreign_projections(const std::filesystem::path& directory, const std::string& log);

}  // namespace contactd::api

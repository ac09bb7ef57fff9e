#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "api/config.hpp"
#include "infra/embedded_event_log.hpp"
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

// Its projections are of the log of this identity; those that have folded nothing become so.
void require_same_log(const std::filesystem::path& data_dir, const std::string& identity);

// Opens its embedded log, or makes it where nothing was folded from one yet: a new one would be
// empty. To be called before the projections are opened, for that removes those that can't be used.
std::unique_ptr<infra::EmbeddedEventLog> open_embedded_log(const std::filesystem::path& data_dir);

struct OpenedProjections {
  std::unique_ptr<infra::ReadStore> store;
  // Of new ones, while the log hasn't shown that it has what those beside them had.
  std::filesystem::path unproven;
};
// Its projections, which it has to have if they are only to be shown. Those that can't be used are
// made anew: from the embedded log, which is open by then, at once; for a topic beside them.
OpenedProjections open_projections(const ServeConfig& config);

// Puts new projections in the place of those that can't be used. Throws also where the log is empty
// and they may have folded something; `log_name` is what it is called.
void hold_proven_projections(const std::filesystem::path& data_dir,
                             const std::filesystem::path& unproven, infra::LogReader& log,
                             const std::string& log_name);

// Tells what it is that is shown where a log lies beside the projections, which may go on past
// them.
void warn_of_unread_log(const std::filesystem::path& data_dir, const infra::ReadStore& store);

// That the projections in the directory weren't folded from `log`, and what to do: a sentence.
std::string foreign_projections(const std::filesystem::path& directory, const std::string& log);

}  // namespace contactd::api

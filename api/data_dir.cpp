#include "api/data_dir.hpp"

#include "infra/backup.hpp"
#include "infra/errors.hpp"
#include "infra/folded_before.hpp"
#include "infra/log.hpp"
#include "infra/log_identity.hpp"
#include "infra/projections_dir.hpp"

namespace contactd::api {
namespace {

namespace fs = std::filesystem;

std::string emptied_log(const std::string& log, const fs::path& projections) {
  return log + " is empty, and there are projections in " + projections.string() +
         ": it has lost records, or it is another one. Restore the log from a backup: "
         "the projections may be the last copy of what it lacks. Only if the log is right as it "
         "is, remove the projections' directory, which is then made anew";
}

}  // namespace

void require_whole(const fs::path& data_dir) {
  if (!infra::is_unfinished_restore(data_dir)) return;
  throw UnfinishedRestore("the restore into " + data_dir.string() +
                          " wasn't finished; run `contactd restore` into it again");
}

void find_or_create_data_dir(const ServeConfig& config) {
  const fs::path& directory = config.data_dir;
  std::error_code ec;
  if (config.read_only && !fs::exists(directory, ec)) {
    throw infra::Unavailable("there is no data directory " + directory.string() +
                             " to show; give one that `contactd replay --to` has made");
  }
  require_whole(directory);
  fs::create_directories(directory, ec);
  if (ec) {
    throw infra::Unavailable("can't create the data directory " + directory.string() + ": " +
                             ec.message());
  }
}

void require_same_log(const fs::path& data_dir, const std::string& identity) {
  const std::string known = infra::kept_log_identity(data_dir);
  if (known == identity) return;
  if (const fs::path projections = infra::projections_dir(data_dir);
      infra::may_have_folded(projections)) {
    throw infra::Unavailable("the projections in " + projections.string() +
                             " are of another log (" + known + ") than the one given (" + identity +
                             "); give that log, or another --data-dir, or remove the directory: "
                             "it is then made anew from the log");
  }
  infra::keep_log_identity(data_dir, identity);
}

std::unique_ptr<infra::EmbeddedEventLog> open_embedded_log(const fs::path& data_dir) {
  infra::require_unused_projections(data_dir);
  require_same_log(data_dir, std::string{infra::embedded_log_identity});
  const fs::path projections = infra::projections_dir(data_dir);
  const fs::path directory = data_dir / "log";
  std::error_code ec;
  if (!fs::exists(directory, ec) && !ec && infra::may_have_folded(projections)) {
    throw infra::Unavailable(
        "there are projections but no log " + directory.string() +
        ". If `contactd replay` made them, they are to be read: add --read-only. If the log was "
        "lost, restore a backup with `contactd restore`");
  }
  auto log = infra::open_embedded_event_log(directory);
  if (log->end_offset(0) == 0 && infra::may_have_folded(projections)) {
    throw infra::Unavailable(emptied_log("the log in " + directory.string(), projections));
  }
  return log;
}

OpenedProjections open_projections(const ServeConfig& config) {
  if (!config.read_only) infra::settle_projections_dir(config.data_dir);
  const fs::path directory = infra::projections_dir(config.data_dir);
  if (config.read_only) return {infra::open_existing_read_store(directory), {}};
  if (config.log != "kafka") return {infra::open_read_store(directory), {}};
  if (auto store = infra::open_usable_read_store(directory)) return {std::move(store), {}};
  const fs::path beside = infra::new_projections_dir(config.data_dir);
  return {infra::open_read_store(beside), beside};
}

void hold_proven_projections(const fs::path& data_dir, const fs::path& unproven,
                             infra::LogReader& log, const std::string& log_name) {
  const fs::path old = infra::projections_dir(data_dir);
  bool empty = true;
  for (std::uint32_t id = 0; id < log.partition_count(); ++id) {
    empty = empty && log.end_offset(id) == 0;
  }
  if (empty && infra::may_have_folded(old)) throw infra::Unavailable(emptied_log(log_name, old));
  infra::hold_projections_dir(data_dir, unproven);
  std::error_code ignored;  // the next start removes what is left
  fs::remove_all(old, ignored);
}

void warn_of_unread_log(const fs::path& data_dir, const infra::ReadStore& store) {
  std::error_code ec;
  const bool embedded = infra::kept_log_identity(data_dir) == infra::embedded_log_identity;
  if (!embedded || !fs::exists(data_dir / "log" / "CURRENT", ec)) return;
  const projections::Checkpoint folded = store.checkpoint(0);
  const std::string shown = folded.next_offset == 0
                                ? "which is nothing"
                                : "up to offset " + std::to_string(folded.next_offset - 1) +
                                      ", of " + domain::to_iso8601(folded.last_time);
  spdlog::warn(
      "the log in {} isn't read: what is shown is what was folded and stored of it, {}. The log "
      "may have more, after a kill above all: to show all of it, start without --read-only, or "
      "make "
      "projections elsewhere with `contactd replay --to` and show those",
      (data_dir / "log").string(), shown);
}

std::string foreign_projections(const std::filesystem::path& directory, const std::string& log) {
  return "the projections in " + directory.string() + " aren't of " + log +
         ", or one of the two was changed since: bring back from a backup what was there; or, if "
         "the log is right, remove the projections' directory: it is then made anew from the log";
}

}  // namespace contactd::api

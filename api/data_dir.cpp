#include "api/data_dir.hpp"

#include <limits>

#include "infra/backup.hpp"
#include "infra/errors.hpp"
#include "infra/log_identity.hpp"
#include "infra/projections_dir.hpp"
#include "projections/key_layout.hpp"

namespace contactd::api {
namespace {

namespace fs = std::filesystem;

bool has_folded(const infra::ReadStore& store) {
  bool found = false;
  const std::string first = projections::keys::checkpoint(0);
  const std::string last = projections::keys::checkpoint(std::numeric_limits<std::uint32_t>::max());
  store.visit_range(projections::Table::meta, first, last, [&](auto, auto) {
    found = true;
    return false;
  });
  return found;
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

void require_same_log(const fs::path& data_dir, const std::string& identity,
                      const infra::ReadStore& store) {
  const std::string known = infra::kept_log_identity(data_dir);
  if (known != identity && has_folded(store)) {
    throw infra::Unavailable("the projections in " + infra::projections_dir(data_dir).string() +
                             " are of another log (" + known + ") than the one given (" + identity +
                             "); give that log, or another --data-dir, or remove the directory: "
                             "it is then made anew from the log");
  }
  if (known != identity) infra::keep_log_identity(data_dir, identity);
}

void require_embedded_log(const fs::path& log, const infra::ReadStore& store) {
  std::error_code ec;
  if (fs::exists(log, ec) || !has_folded(store)) return;
  throw infra::Unavailable(
      "there are projections but no log " + log.string() +
      ". If `contactd replay` made them, they are to be read: add --read-only. If the log was "
      "lost, restore a backup with `contactd restore`");
}

std::string foreign_projections(const std::filesystem::path& directory, const std::string& log) {
  return "the projections in " + directory.string() + " aren't of " + log +
         ", or one of the two was changed since: bring back from a backup what was there; or, if "
         "the log is right, remove the projections' directory: it is then made anew from the log";
}

}  // namespace contactd::api

#include <boost/json.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "api/commands/command_line.hpp"
#include "api/commands/log_position.hpp"
#include "api/commands/open_log.hpp"
#include "api/commands/options.hpp"
#include "api/commands/progress.hpp"
#include "infra/directory_lock.hpp"
#include "infra/durable_file.hpp"
#include "infra/errors.hpp"
#include "infra/fold_log.hpp"
#include "infra/log_identity.hpp"
#include "infra/log_until.hpp"
#include "infra/projections_dir.hpp"
#include "infra/read_store.hpp"

// `contactd replay`: the projections as they were at a position or a time, from the log.
namespace contactd::api {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr auto unfinished_name = "projections.unfinished";

struct ReplayConfig {
  LogOptions log;
  fs::path to;
  std::string until;
  bool json = false;
};

// What one that was cut off has left. The name that says so goes last.
void remove_unfinished(const fs::path& directory) {
  const fs::path unfinished = directory / unfinished_name;
  if (!fs::exists(unfinished)) return;
  if (infra::is_in_use(unfinished)) {
    throw UsageError("another replay folds into " + directory.string() +
                     "; wait for its end, or give a new directory");
  }
  fs::remove(directory / infra::log_identity_name);
  fs::remove_all(unfinished);
}

void require_empty(const fs::path& directory) {
  std::error_code ec;
  fs::create_directories(directory, ec);
  if (ec) {
    throw infra::Unavailable("can't create " + directory.string() + ": " + ec.message());
  }
  remove_unfinished(directory);
  if (!fs::is_empty(directory)) {
    throw UsageError(directory.string() + " isn't empty; give a new directory");
  }
}

// The projections that are folded, under a name that nobody serves: what `projections` names is
// whole. They go with this object unless they were kept.
class Folded {
 public:
  explicit Folded(const fs::path& directory)
      : directory_(directory), store_(infra::open_read_store(directory / unfinished_name)) {}
  ~Folded() {
    store_.reset();
    if (kept_) return;
    std::error_code ignored;  // the next run removes what is left
    fs::remove(directory_ / infra::log_identity_name, ignored);
    fs::remove_all(directory_ / unfinished_name, ignored);
  }
  Folded(const Folded&) = delete;
  Folded& operator=(const Folded&) = delete;

  infra::ReadStore& store() { return *store_; }
  // Once this returns, they outlast a loss of power. Throws StoreUnavailable.
  void keep(std::string_view log_identity) {
    store_->flush();
    infra::keep_log_identity(directory_, log_identity);
    store_.reset();  // an open database can't be renamed
    infra::sync_to_disk(directory_ / unfinished_name);
    fs::rename(directory_ / unfinished_name, infra::projections_dir(directory_));
    kept_ = true;
    infra::sync_to_disk(directory_);
    infra::sync_to_disk(fs::canonical(directory_).parent_path());
  }

 private:
  const fs::path directory_;
  std::unique_ptr<infra::ReadStore> store_;
  bool kept_ = false;
};

// Of partition `id`: one with another partition's position in --until isn't meant, and stays empty.
std::uint64_t replay_partition(const ReplayConfig& config, infra::LogReader& log, std::uint32_t id,
                               infra::ReadStore& store) {
  const auto until = config.until.empty() ? std::nullopt : parse_log_place(config.until);
  if (until && names_another(*until, id)) return 0;
  infra::LogUntil bounded{log, [&](std::uint64_t offset, const domain::RecordedEvent& event) {
                            return until && after(*until, id, offset, event.time);
                          }};
  Progress progress{Progress::show_for(config.json), "replay of partition " + std::to_string(id),
                    "records", log.end_offset(id)};
  infra::fold_log(bounded, id, store, log.end_offset(id),
                  [&](std::uint64_t offset) { progress.at(offset); });
  const std::uint64_t folded = store.checkpoint(id).next_offset;
  progress.finish(folded);
  return folded;
}

// What was asked for may not be there yet.
std::string text_of(const ReplayConfig& config, std::uint32_t id,
                    const projections::Checkpoint& folded) {
  std::string text = "partition " + std::to_string(id) + ": ";
  if (folded.next_offset == 0) return text + "nothing was folded\n";
  text += "folded up to offset " + std::to_string(folded.next_offset - 1) + ", of " +
          domain::to_iso8601(folded.last_time);
  const auto until = config.until.empty() ? std::nullopt : parse_log_place(config.until);
  const auto* position = until ? std::get_if<LogPosition>(&*until) : nullptr;
  if (position != nullptr && !names_another(*until, id) && position->offset >= folded.next_offset) {
    text += "; the log has nothing that holds from there up to offset " +
            std::to_string(position->offset);
  }
  return text + '\n';
}

int replay(const ReplayConfig& config) {
  const OpenedLog log = open_log_for_reading(config.log);
  if (!config.until.empty()) {
    require_place_of(*parse_log_place(config.until), log->partition_count());
  }
  require_outside_of_others(config.to);
  require_empty(config.to);
  Folded folded{config.to};
  json::array partitions;
  std::string text;
  for (std::uint32_t id = 0; id < log->partition_count(); ++id) {
    const std::uint64_t next = replay_partition(config, *log, id, folded.store());
    const projections::Checkpoint reached = folded.store().checkpoint(id);
    partitions.push_back(json::object{{"partition", id},
                                      {"next_offset", next},
                                      {"last_time", domain::to_iso8601(reached.last_time)}});
    text += text_of(config, id, reached);
  }
  folded.keep(log.identity);
  if (config.json) {
    const json::object done{{"directory", config.to.string()}, {"partitions", partitions}};
    std::printf("%s\n", json::serialize(done).c_str());
  } else {
    std::printf(
        "%sThe projections are in %s. To read them:\n    contactd serve --read-only "
        "--data-dir %s\n",
        text.c_str(), config.to.c_str(), config.to.c_str());
  }
  return exit_done;
}

}  // namespace

void add_replay(CommandLine& line) {
  const auto config = std::make_shared<ReplayConfig>();
  CLI::App* app = line.app.add_subcommand(
      "replay", "Build the projections from the log, as of now or as of then, into a directory");
  add_log(*app, config->log);
  app->add_option(
         "--to", config->to,
         "A new or empty directory, or one that a replay that was cut off has left; it can "
         "be served once the replay is done")
      ->required();
  app->add_option("--until", config->until,
                  "The last event: an offset, PARTITION:OFFSET, or a time (ISO 8601)")
      ->check(CLI::Validator(check_log_place, "POSITION|TIME"));
  add_json(*app, config->json, "Print how far each partition was folded, as JSON");
  app->callback([&line, config] {
    config->log.finish();
    line.chosen = [config] { return replay(*config); };
  });
}

}  // namespace contactd::api

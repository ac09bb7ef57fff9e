#include <boost/json.hpp>
#include <cstdio>

#include "api/commands/command_line.hpp"
#include "api/commands/log_position.hpp"
#include "api/commands/open_log.hpp"
#include "api/commands/options.hpp"
#include "api/commands/progress.hpp"
#include "infra/errors.hpp"
#include "infra/fold_log.hpp"
#include "infra/log_identity.hpp"
#include "infra/log_until.hpp"
#include "infra/read_store.hpp"

// `contactd replay`: the projections as they were at a position or a time, from the log.
namespace contactd::api {
namespace {

namespace json = boost::json;

struct ReplayConfig {
  LogOptions log;
  std::filesystem::path to;
  std::string until;
  bool json = false;
};

void require_empty(const std::filesystem::path& directory) {
  std::error_code ec;
  std::filesystem::create_directories(directory, ec);
  if (ec) {
    throw infra::Unavailable("can't create " + directory.string() + ": " + ec.message());
  }
  if (!std::filesystem::is_empty(directory)) {
    throw UsageError(directory.string() + " isn't empty; give a new directory");
  }
}

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
  require_empty(config.to);
  const auto store = infra::open_read_store(config.to / "projections");
  json::array folded;
  for (std::uint32_t id = 0; id < log->partition_count(); ++id) {
    folded.push_back(
        json::object{{"partition", id},
                     {"next_offset", replay_partition(config, *log, id, *store)},
                     {"last_time", domain::to_iso8601(store->checkpoint(id).last_time)}});
  }
  store->flush();
  infra::keep_log_identity(config.to, log.identity);
  if (config.json) {
    std::printf("%s\n", json::serialize(
                            json::object{{"directory", config.to.string()}, {"partitions", folded}})
                            .c_str());
  } else {
    for (std::uint32_t id = 0; id < log->partition_count(); ++id) {
      std::printf("%s", text_of(config, id, store->checkpoint(id)).c_str());
    }
    std::printf(
        "The projections are in %s. To read them:\n    contactd serve --read-only "
        "--data-dir %s\n",
        config.to.c_str(), config.to.c_str());
  }
  return exit_done;
}

}  // namespace

void add_replay(CommandLine& line) {
  const auto config = std::make_shared<ReplayConfig>();
  CLI::App* app = line.app.add_subcommand(
      "replay", "Build the projections from the log, as of now or as of then, into a directory");
  add_log(*app, config->log);
  app->add_option("--to", config->to, "A new or empty directory")->required();
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

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <memory>

#include "api/commands/command_line.hpp"
#include "api/commands/interruption.hpp"
#include "api/commands/open_log.hpp"
#include "api/commands/options.hpp"
#include "api/commands/progress.hpp"
#include "api/data_dir.hpp"
#include "domain/json_text.hpp"
#include "infra/directory_lock.hpp"
#include "infra/errors.hpp"
#include "infra/log_audit.hpp"
#include "infra/log_identity.hpp"
#include "infra/projections_dir.hpp"
#include "infra/store_audit.hpp"

// `contactd verify`: proves the log's chain, and the projections by the log.
namespace contactd::api {
namespace {

constexpr auto scratch_name = "verify.tmp";

struct VerifyConfig {
  LogOptions log;
  std::vector<std::string> expect;
  std::filesystem::path scratch;
  bool log_only = false;
  bool json = false;

  std::filesystem::path projections() const { return infra::projections_dir(log.data_dir); }
  std::filesystem::path scratch_dir() const {
    return (scratch.empty() ? log.data_dir : scratch) / scratch_name;
  }
};

std::string check_kept_head(const std::string& text) {
  if (infra::parse_kept_head(text)) return {};
  return "'" + text + "' is no head; give PARTITION:OFFSET:HASH, as `contactd verify` has printed";
}

// What was to be looked at can't be, so that nothing is proven of it, good or bad; a sentence.
struct NotVerified : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// What was found so far; of what wasn't looked at, nothing.
struct Found {
  std::vector<infra::AuditedPartition> partitions;
  double log_seconds = 0;
  std::vector<infra::KeptHead> still_there;  // of those that were expected
  std::optional<std::uint64_t> rows;
  std::optional<std::string> problem;
  bool looked = true;  // else `problem` says why nothing is proven

  std::uint64_t records() const {
    std::uint64_t all = 0;
    for (const auto& one : partitions) all += one.records;
    return all;
  }
  std::uint64_t per_second() const {
    return log_seconds > 0
               ? static_cast<std::uint64_t>(static_cast<double>(records()) / log_seconds)
               : 0;
  }
};

// The folded rows of the fresh replay; go with this object, and so does the place that was named
// for them if it was made for that.
class Scratch {
 public:
  explicit Scratch(std::filesystem::path directory) : directory_(std::move(directory)) {
    remove();
    std::error_code ec;
    made_place_ = !std::filesystem::exists(directory_.parent_path(), ec);
    std::filesystem::create_directories(directory_, ec);
    if (!ec) return;
    throw UsageError("can't make " + directory_.string() + ": " + ec.message() +
                     "; name a place that can be written with --scratch");
  }
  ~Scratch() { remove(); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  const std::filesystem::path& path() const { return directory_; }

 private:
  void remove() {
    std::error_code ignored;  // what can't be removed, the next use says better
    std::filesystem::remove_all(directory_, ignored);
    if (made_place_) std::filesystem::remove(directory_.parent_path(), ignored);
  }

  const std::filesystem::path directory_;
  bool made_place_ = false;
};

std::vector<infra::KeptHead> kept_heads(const VerifyConfig& config, std::uint32_t partitions) {
  std::vector<infra::KeptHead> kept;
  for (const std::string& text : config.expect) {
    kept.push_back(*infra::parse_kept_head(text));
    if (kept.back().partition >= partitions) {
      throw UsageError("--expect " + text + ": the log has " + std::to_string(partitions) +
                       " partitions");
    }
  }
  return kept;
}

std::uint64_t end_of_all(infra::LogReader& log) {
  std::uint64_t all = 0;
  for (std::uint32_t id = 0; id < log.partition_count(); ++id) all += log.end_offset(id);
  return all;
}

void audit_log(const VerifyConfig& config, infra::LogReader& log, Found& found) {
  const auto kept = kept_heads(config, log.partition_count());
  const auto started = std::chrono::steady_clock::now();
  Progress progress{Progress::show_for(config.json), "checking the log's chain", "records",
                    end_of_all(log)};
  for (std::uint32_t id = 0; id < log.partition_count(); ++id) {
    const std::uint64_t before = found.records();
    found.partitions.push_back(infra::audit_chain(log, id, kept, [&](std::uint64_t records) {
      end_if_interrupted();
      progress.at(before + records);
    }));
  }
  found.still_there = kept;
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  found.log_seconds = took.count();
  progress.finish(found.records());
}

// The projections are of one log, which a file beside them names.
void require_same_log(const VerifyConfig& config, const OpenedLog& log) {
  const std::string known = infra::kept_log_identity(config.log.data_dir);
  if (known == log.identity) return;
  throw UsageError("the projections in " + config.projections().string() + " are of another log (" +
                   known + ") than the one given (" + log.identity + ')');
}

// Throws UsageError if it isn't what is looked at that fails, but the place for this.
std::unique_ptr<infra::ReadStore> replay_anew(const VerifyConfig& config, infra::LogReader& log,
                                              const infra::ReadStore& live, const Scratch& scratch,
                                              std::uint64_t records_max) {
  try {
    auto replayed = infra::open_read_store(scratch.path());
    Progress progress{Progress::show_for(config.json), "folding the log anew", "records",
                      records_max};
    std::uint64_t folded = 0;
    infra::replay_for_audit(log, live, *replayed, [&](std::uint64_t records) {
      end_if_interrupted();
      folded = records;
      progress.at(records);
    });
    progress.finish(folded);
    return replayed;
  } catch (const infra::StoreUnavailable& problem) {
    const std::string what = problem.what();
    if (what.find(scratch.path().string()) == std::string::npos) throw;
    throw UsageError("nothing is proven of the projections: " + what +
                     ". Name a place that has room for them with --scratch");
  }
}

void audit_projections(const VerifyConfig& config, infra::LogReader& log,
                       const infra::ReadStore& live, const Scratch& scratch, Found& found) {
  for (std::uint32_t id = 0; id < log.partition_count(); ++id) {
    if (infra::leads_to(log, id, live.checkpoint(id))) continue;
    found.problem = foreign_projections(config.projections(),
                                        "this log, by its partition " + std::to_string(id));
    return;
  }
  const auto replayed = replay_anew(config, log, live, scratch, found.records());
  const infra::Comparison comparison = infra::compare(live, *replayed, end_if_interrupted);
  if (comparison.difference) {
    found.problem = "the projections aren't those of the log: " + *comparison.difference +
                    ". Remove " + config.projections().string() +
                    ": it is then made anew from the log";
  } else {
    found.rows = comparison.rows;
  }
}

bool has_files(const std::filesystem::path& directory) {
  std::error_code ec;
  const bool empty = std::filesystem::is_empty(directory, ec);
  return !ec && !empty;
}

// What somebody may not read, a database takes for damaged.
void require_readable(const std::filesystem::path& directory) {
  const auto refuse = [](const std::filesystem::path& path) {
    throw NotVerified("can't read " + path.string() + ": " +
                      std::make_error_code(std::errc::permission_denied).message() +
                      "; run this as the user that the server runs as");
  };
  std::error_code ec;
  for (std::filesystem::recursive_directory_iterator at{directory, ec}, end; !ec && at != end;
       at.increment(ec)) {
    if (access(at->path().c_str(), R_OK) != 0 && errno == EACCES) refuse(at->path());
  }
  if (ec == std::errc::permission_denied) refuse(directory);
}

// Whether there are projections to be looked at. Throws NotVerified if something can't be.
bool require_all_can_be_looked_at(const VerifyConfig& config) {
  const std::filesystem::path log = config.log.data_dir / "log";
  if (!config.log.on_kafka()) require_readable(log);
  if (!config.log_only) require_readable(config.projections());
  if (!config.log.on_kafka() && !has_files(log)) {
    throw NotVerified("there is no embedded log in " + log.string() +
                      "; give the server's data directory with --data-dir");
  }
  const bool projections = !config.log_only && has_files(config.projections());
  if (projections && infra::is_written_to(config.projections())) {
    throw NotVerified("another contactd runs on " + config.projections().string() +
                      "; stop it first, or look at the log alone with --log-only");
  }
  return projections;
}

// Neither a topic that can't be opened nor a restore that isn't finished is a log that is damaged.
OpenedLog open_log_to_verify(const VerifyConfig& config) try {
  return open_log_for_reading(config.log);
} catch (const UnfinishedRestore& problem) {
  throw NotVerified(problem.what());
} catch (const infra::LogUnavailable& problem) {
  if (config.log.on_kafka()) throw NotVerified(problem.what());
  throw;
}

void audit(const VerifyConfig& config, Found& found) {
  const bool projections = require_all_can_be_looked_at(config);
  std::unique_ptr<infra::ReadStore> live;
  std::optional<Scratch> scratch;
  // First, so that no server can start meanwhile.
  if (projections) live = infra::open_store_for_audit(config.projections());
  const OpenedLog log = open_log_to_verify(config);
  note_interruptions();  // from here on there is something to remove
  if (projections) {
    require_same_log(config, log);
    scratch.emplace(config.scratch_dir());
  }
  audit_log(config, *log, found);
  if (projections) audit_projections(config, *log, *live, *scratch, found);
}

void print_text(const VerifyConfig& config, const Found& found) {
  for (const auto& one : found.partitions) {
    std::printf(
        "partition %u: %llu records, %llu events in the chain, %llu of them with their hash",
        one.partition, static_cast<unsigned long long>(one.records),
        static_cast<unsigned long long>(one.at.chain.events),
        static_cast<unsigned long long>(one.at.chain.proven));
    std::printf("; %llu not applied, %llu foreign\n",
                static_cast<unsigned long long>(one.not_applied),
                static_cast<unsigned long long>(one.foreign));
    if (one.head) std::printf("head %s\n", to_string(*one.head).c_str());
  }
  for (const infra::KeptHead& head : found.still_there) {
    std::printf("head %s: still there\n", to_string(head).c_str());
  }
  if (found.rows) {
    std::printf("projections: %llu rows, equal to a fresh replay's\n",
                static_cast<unsigned long long>(*found.rows));
  } else if (!found.problem && config.log_only) {
    std::printf("projections: not looked at\n");
  } else if (!found.problem) {
    std::printf("projections: there are none in %s; the log alone was looked at\n",
                config.log.data_dir.c_str());
  }
  const std::string verdict = found.looked ? "bad: " : "not verified: ";
  std::printf("%s\n", found.problem ? (verdict + *found.problem).c_str() : "good");
}

void print_json(const Found& found) {
  std::string out = R"({"good":)";
  out += !found.looked ? "null" : found.problem ? "false" : "true";
  if (found.problem) out += R"(,"problem":)" + domain::json_string(*found.problem);
  out += R"(,"partitions":[)";
  for (const auto& one : found.partitions) {
    if (out.back() == '}') out += ',';
    out += R"({"partition":)" + std::to_string(one.partition) + R"(,"records":)" +
           std::to_string(one.records) + R"(,"chained":)" + std::to_string(one.at.chain.events) +
           R"(,"proven":)" + std::to_string(one.at.chain.proven) + R"(,"not_applied":)" +
           std::to_string(one.not_applied) + R"(,"foreign":)" + std::to_string(one.foreign) +
           R"(,"head":)" + (one.head ? domain::json_string(to_string(*one.head)) : "null") + '}';
  }
  out += R"(],"still_there":[)";
  for (const infra::KeptHead& head : found.still_there) {
    if (out.back() == '"') out += ',';
    out += domain::json_string(to_string(head));
  }
  out += R"(],"records_per_second":)" + std::to_string(found.per_second());
  out += R"(,"projection_rows":)" + (found.rows ? std::to_string(*found.rows) : "null") + "}\n";
  std::fputs(out.c_str(), stdout);
}

int verify(const VerifyConfig& config) {
  Found found;
  try {
    audit(config, found);
  } catch (const UsageError&) {
    throw;
  } catch (const Interrupted&) {
    throw;
  } catch (const NotVerified& problem) {
    found.looked = false;
    found.problem = problem.what();
  } catch (const infra::LogAway& problem) {
    found.looked = false;
    found.problem = problem.what();
  } catch (const std::exception& problem) {
    found.problem = problem.what();
  }
  if (config.json) {
    print_json(found);
  } else {
    print_text(config, found);
  }
  if (std::fflush(stdout) != 0) throw infra::Unavailable("can't write to standard output");
  if (!found.looked) return exit_unproven;
  return found.problem ? exit_failed : exit_done;
}

}  // namespace

void add_verify(CommandLine& line) {
  const auto config = std::make_shared<VerifyConfig>();
  CLI::App* app = line.app.add_subcommand("verify",
                                          "Prove the log's chain of hashes, and the projections by "
                                          "the log; exit 1 if something is bad, "
                                          "3 if it couldn't be looked at");
  add_log(*app, config->log);
  app->add_option("--expect", config->expect,
                  "A head that was printed before: the log must still have it; repeatable")
      ->check(CLI::Validator(check_kept_head, "PARTITION:OFFSET:HASH"));
  app->add_option("--scratch", config->scratch,
                  "Where the projections are folded anew meanwhile; they take as much room there "
                  "as those that are looked at. Default: the data directory");
  app->add_flag("--log-only", config->log_only,
                "Look at the log alone; also beside a running server");
  add_json(*app, config->json, "Print the result as JSON");
  app->callback([&line, config] {
    config->log.finish();
    line.chosen = [config] { return verify(*config); };
  });
}

}  // namespace contactd::api

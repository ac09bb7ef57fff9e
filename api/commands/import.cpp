#include <boost/json.hpp>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

#include "api/commands/command_line.hpp"
#include "api/commands/contact_file.hpp"
#include "api/commands/http_client.hpp"
#include "api/commands/input_file.hpp"
#include "api/commands/interruption.hpp"
#include "api/commands/options.hpp"
#include "api/commands/printable.hpp"
#include "api/commands/progress.hpp"
#include "api/limits.hpp"
#include "api/query.hpp"
#include "domain/email_address.hpp"
#include "domain/instant.hpp"
#include "domain/sha256.hpp"
#include "infra/clock.hpp"
#include "infra/errors.hpp"
#include "projections/idempotency.hpp"

// `contactd import`: a file's contacts through the API, so that the same rules hold.
namespace contactd::api {
namespace {

namespace json = boost::json;

constexpr std::size_t lines_waiting_max = 64;  // for each connection

struct ImportConfig {
  ServerOptions server;
  std::string file;
  std::string format;
  bool update = false;
  bool json = false;
  bool quiet = false;
  std::string run;
  std::uint64_t from_line = 1;
  unsigned connections = 16;
};

// What became of a line.
struct Report {
  std::uint64_t line = 0;
  std::string_view outcome;  // created, updated, unchanged or refused; or none as yet
  std::string id;
  unsigned status = 0;  // 0: the server wasn't asked
  std::string sentence;
};

// Prints the reports in the order of the lines, and counts them. Threads: any.
class Reports {
 public:
  explicit Reports(const ImportConfig& config)
      : config_(config),
        progress_(Progress::show_for(config.json), "import", "lines", 0),
        next_line_(config.from_line) {}

  // A line that will be reported; they come in the order of the file. Returns its place there.
  std::uint64_t expect(std::uint64_t line) {
    const std::lock_guard lock{mutex_};
    next_line_ = line + 1;
    waiting_.push_back({line, {}, {}, 0, {}});
    return told_ + waiting_.size() - 1;
  }

  void add(std::uint64_t place, Report report) {
    const std::lock_guard lock{mutex_};
    waiting_[place - told_] = std::move(report);
    while (!waiting_.empty() && !waiting_.front().outcome.empty()) {
      tell(waiting_.front());
      waiting_.pop_front();
      ++told_;
    }
    progress_.at(told_);
  }

  // The first line that has no outcome, once nothing more is added. Prints what waits for it.
  std::optional<std::uint64_t> first_without_outcome() {
    const std::lock_guard lock{mutex_};
    std::optional<std::uint64_t> first;
    for (const Report& report : waiting_) {
      if (report.outcome.empty()) {
        if (!first) first = report.line;
        continue;
      }
      tell(report);
      ++told_;
    }
    waiting_.clear();
    return first;
  }

  // Where to go on if the file wasn't read to its end: behind the last line that was expected.
  std::uint64_t next_line() {
    const std::lock_guard lock{mutex_};
    return next_line_;
  }

  // The exit status, after all was reported.
  int finish() {
    const std::lock_guard lock{mutex_};
    if (config_.json) {
      const json::object counts(counts_.begin(), counts_.end());
      std::printf("%s\n", json::serialize(counts).c_str());
    } else {
      std::string text;
      for (const auto& [outcome, count] : counts_) {
        text += (text.empty() ? "" : ", ") + std::to_string(count) + ' ' + outcome;
      }
      std::printf("%s\n", text.c_str());
    }
    std::fflush(stdout);
    progress_.finish(told_);
    return counts_["refused"] == 0 ? exit_done : exit_failed;
  }

 private:
  void tell(const Report& report) {
    ++counts_[std::string{report.outcome}];
    if (config_.quiet && report.outcome != "refused") return;
    if (config_.json) {
      json::object line{{"line", report.line}, {"outcome", report.outcome}};
      if (!report.id.empty()) line["id"] = report.id;
      if (report.status != 0) line["status"] = report.status;
      if (!report.sentence.empty()) line["error"] = report.sentence;
      std::printf("%s\n", json::serialize(line).c_str());
      return;
    }
    std::string text = "line " + std::to_string(report.line) + ": ";
    text += report.outcome;
    if (!report.id.empty()) text += ' ' + report.id;
    if (!report.sentence.empty()) text += ": " + report.sentence;
    std::printf("%s\n", printable(text).c_str());
  }

  const ImportConfig& config_;
  // Guarded by mutex_.
  std::mutex mutex_;
  Progress progress_;
  std::uint64_t next_line_;
  std::uint64_t told_ = 0;
  std::deque<Report> waiting_;  // from the first line on that has no outcome
  std::map<std::string, std::uint64_t> counts_{
      {"created", 0}, {"refused", 0}, {"unchanged", 0}, {"updated", 0}};
};

std::string member_of(const Answer& answer, const char* pointer) {
  boost::system::error_code ec;
  const json::value body = json::parse(answer.body, ec);
  const json::value* found = ec ? nullptr : body.find_pointer(pointer, ec);
  return found != nullptr && found->is_string() ? std::string{found->as_string()} : std::string{};
}

// Sends lines on a connection of its own. Threads: one.
class Importer {
 public:
  Importer(const ImportConfig& config, std::shared_ptr<Outage> outage)
      : config_(config), client_(config.server, std::move(outage)) {}

  // Throws ServerUnreachable or ServerRefused where going on makes no sense.
  Report import(const ContactLine& line) {
    Report report{line.number, "refused", {}, 0, line.problem};
    if (!line.problem.empty()) return report;
    const std::string body = json::serialize(line.fields);
    if (body.size() > limits::body_bytes_max) {
      report.sentence = too_large_to_send();
      return report;
    }
    // The same line of the same file is the same request, whenever it is sent again.
    const std::string key =
        "import-" + domain::to_hex(domain::sha256(config_.run + '\n' + std::to_string(line.number) +
                                                  '\n' + body));
    Answer answer = send("POST", "/api/v1/contacts", body, key);
    if (answer.status == 404) throw ServerRefused(answer);  // of contactd's paths that is none
    const std::string holder = answer.status == 409 ? member_of(answer, "/contact_id") : "";
    if (config_.update && !holder.empty()) return update(std::move(report), holder, body, key);
    report.status = answer.status;
    if (answer.status == 201) {
      report.outcome = "created";
      report.id = member_of(answer, "/data/id");
    } else {
      report.sentence = sentence_of(answer);
    }
    return report;
  }

 private:
  Report update(Report report, const std::string& id, const std::string& body,
                const std::string& key) {
    const std::string target = "/api/v1/contacts/" + id;
    report.id = id;
    // Under this id the contact's history has the change. It is of the API key, too, as the answer
    // is that is kept.
    const std::string request =
        "import-" + domain::to_hex(domain::sha256(config_.server.key + '\n' + key));
    const Answer before = client_.ask_patiently("GET", target);
    const Answer after = client_.ask_patiently(
        "PATCH", target, body, {{"Idempotency-Key", key + "-update"}, {"X-Request-Id", request}});
    report.status = after.status;
    if (after.status != 200) {
      report.sentence = sentence_of(after);
      return report;
    }
    const bool changed =
        after.replayed ? was_made_by(request, target, after.etag) : before.etag != after.etag;
    report.outcome = changed ? "updated" : "unchanged";
    return report;
  }

  // Whether the version that a kept answer shows is what that request made, so that whoever runs
  // this again is told the same of the line, whatever the contact is by now. One that is older than
  // an answer is kept was there already: the same line made it in an earlier run.
  bool was_made_by(const std::string& request, const std::string& target, const std::string& etag) {
    for (std::string more;;) {
      const Answer answer = client_.ask_patiently(
          "GET", target + "/history?limit=" + std::to_string(limits::page_size_max) + more);
      if (answer.status != 200) throw ServerRefused(answer);
      const json::value page = json::parse(answer.body);
      for (const json::value& event : page.at("data").as_array()) {
        if ('"' + json::serialize(event.at("version")) + '"' != etag) continue;
        const auto time = domain::parse_iso8601(event.at("time").as_string());
        return event.at("request_id").as_string() == request && time &&
               infra::system_time().unix_ms - time->unix_ms < projections::idempotency_kept_ms;
      }
      const json::value& cursor = page.at("next_cursor");
      if (cursor.is_null()) return false;
      more = "&cursor=" + encode_query_value(json::value_to<std::string>(cursor));
    }
  }

  // The key makes sure that nothing happens twice.
  Answer send(std::string_view method, const std::string& target, const std::string& body,
              const std::string& key) {
    return client_.ask_patiently(method, target, body, {{"Idempotency-Key", key}});
  }

  const ImportConfig& config_;
  HttpClient client_;
};

// A connection, and the lines that wait for it.
class Worker {
 public:
  Worker(const ImportConfig& config, std::shared_ptr<Outage> outage, Reports& reports)
      : importer_(config, std::move(outage)), reports_(reports), thread_([this] { run(); }) {}
  ~Worker() { close(); }

  // Blocks while too many wait. False once the worker has failed.
  bool add(std::uint64_t place, ContactLine line) {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [this] { return lines_.size() < lines_waiting_max || failure_; });
    if (failure_) return false;
    lines_.emplace_back(place, std::move(line));
    changed_.notify_all();
    return true;
  }
  // Returns once all is done: what made it fail, if something did.
  std::exception_ptr finish() {
    close();
    return failure_;
  }

 private:
  void close() {
    {
      const std::lock_guard lock{mutex_};
      closed_ = true;
      changed_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
  }
  void run() {
    try {
      for (;;) {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [this] { return !lines_.empty() || closed_; });
        if (lines_.empty()) return;
        end_if_interrupted();
        const auto [place, line] = std::move(lines_.front());
        lines_.pop_front();
        changed_.notify_all();
        lock.unlock();
        reports_.add(place, importer_.import(line));
      }
    } catch (...) {
      const std::lock_guard lock{mutex_};
      failure_ = std::current_exception();
      changed_.notify_all();
    }
  }

  Importer importer_;
  Reports& reports_;
  // Guarded by mutex_.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::pair<std::uint64_t, ContactLine>> lines_;
  bool closed_ = false;
  std::exception_ptr failure_;

  std::thread thread_;  // last: it touches all of the above
};

// Lines with the same email are sent one after the other, so that their order in the file decides.
std::size_t lane_of(const ContactLine& line, std::size_t lanes) {
  const auto* email = line.fields.if_contains("email");
  const auto address = email != nullptr && email->is_string()
                           ? domain::EmailAddress::parse(email->as_string())
                           : std::nullopt;
  return (address ? std::hash<std::string>{}(address->str()) : line.number) % lanes;
}

// Sends all lines. Throws what ended it before, once nothing is under way any more.
void send_all(const ImportConfig& config, ContactReader& contacts, Reports& reports) {
  const auto outage = std::make_shared<Outage>();
  std::vector<std::unique_ptr<Worker>> workers;
  workers.reserve(config.connections);
  for (unsigned i = 0; i < config.connections; ++i) {
    workers.push_back(std::make_unique<Worker>(config, outage, reports));
  }
  while (auto line = contacts.next()) {
    end_if_interrupted();
    if (line->number < config.from_line && !line->last) continue;
    const bool last = line->last;
    if (last) line->problem += "; what follows can't be read";
    const std::uint64_t place = reports.expect(line->number);
    const bool taken = workers[lane_of(*line, workers.size())]->add(place, *std::move(line));
    if (last || !taken) break;
  }
  std::exception_ptr failure;
  for (const auto& worker : workers) {
    const auto its_failure = worker->finish();
    if (!failure) failure = its_failure;
  }
  if (failure) std::rethrow_exception(failure);
}

int import_contacts(const ImportConfig& config) {
  std::error_code unknown;  // whoever opens it says what is wrong with it
  const std::string name = name_of_input(config.file);
  if (!is_standard_input(config.file) && std::filesystem::is_directory(config.file, unknown)) {
    throw UsageError(config.file + " is a directory; give a file of contacts, csv or jsonl");
  }
  const auto format = format_of(config.format, config.file);
  if (!format) throw UsageError("say with --format whether " + name + " is csv or jsonl");
  const auto contacts = open_contacts(config.file, *format);
  note_interruptions();  // not before: to open a pipe may wait for long
  Reports reports{config};
  std::optional<std::string> problem;
  int signal = 0;
  try {
    send_all(config, *contacts, reports);
  } catch (const Interrupted& interrupted) {
    signal = interrupted.signal;
  } catch (const std::exception& failure) {
    problem = failure.what();
  }
  // What was done is told also where it ended before its time.
  const auto missing = reports.first_without_outcome();
  const int status = reports.finish();
  const std::string line = std::to_string(missing.value_or(reports.next_line()));
  const std::string where = "line " + line + " is the first without an outcome; go on there with " +
                            "--from-line " + line + ": ";
  if (signal != 0) throw Interrupted{signal, where};
  if (problem) throw infra::Unavailable((missing ? where : "") + *problem);
  return status;
}

}  // namespace

void add_import(CommandLine& line) {
  constexpr unsigned connections_max = 256;
  const auto config = std::make_shared<ImportConfig>();
  CLI::App* app = line.app.add_subcommand(
      "import", "Create contacts from a file, through the API; exit 1 if a line was refused");
  add_server(*app, config->server);
  app->add_option("file", config->file, "The file; -, with --format, is standard input")
      ->required();
  app->add_option("--format", config->format, "csv or jsonl; if not given, as the file's name ends")
      ->check(CLI::IsMember({"csv", "jsonl"}));
  app->add_flag("--update", config->update,
                "Where a line's email is a contact's already, update that one");
  app->add_option(
      "--run", config->run,
      "A line that was sent within the last 24 hours, with the same API key, is answered "
      "as it was then; a run of another name sends it anew");
  app->add_option("--from-line", config->from_line, "Pass over the lines before this one")
      ->check(CLI::Range(std::int64_t{1}, std::numeric_limits<std::int64_t>::max()));
  app->add_option("--connections", config->connections, "How many lines are under way at once")
      ->capture_default_str()
      ->check(CLI::Range(1U, connections_max));
  app->add_flag("--quiet", config->quiet, "Report only the lines that were refused");
  add_json(*app, config->json, "Report in lines of JSON, at last the counts");
  app->callback([&line, config] {
    config->server.finish();
    line.chosen = [config] { return import_contacts(*config); };
  });
}

}  // namespace contactd::api

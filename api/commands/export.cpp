#include <boost/json.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <unordered_set>

#include "api/commands/command_line.hpp"
#include "api/commands/contact_file.hpp"
#include "api/commands/http_client.hpp"
#include "api/commands/interruption.hpp"
#include "api/commands/options.hpp"
#include "api/commands/progress.hpp"
#include "api/limits.hpp"
#include "api/query.hpp"
#include "domain/instant.hpp"
#include "infra/errors.hpp"

// `contactd export`: an organization's contacts as a file.
namespace contactd::api {
namespace {

namespace json = boost::json;

struct ExportConfig {
  ServerOptions server;
  std::string format;
  std::string out;
  std::string at;
};

std::string check_time(const std::string& text) {
  if (domain::parse_iso8601(text)) return {};
  return "'" + text + "' is no time; give one such as 2025-07-15T10:30:00Z";
}

// Throws infra::Unavailable, with what errno says.
[[noreturn]] void fail_to_write(const std::string& what) {
  const int why = errno;
  throw infra::Unavailable("can't write " + what + ": " + std::strerror(why));
}

// Standard output; or a file that appears whole or not at all, in the place of the one that was
// there, with its permissions; or, where a pipe or a device is, that.
class Output {
 public:
  explicit Output(const std::string& file) : file_(place_of(file)) {
    if (file.empty()) return;
    std::error_code ec;
    const auto there = std::filesystem::status(file_, ec);
    replaces_ = !std::filesystem::exists(there) || std::filesystem::is_regular_file(there);
    written_ = replaces_ ? file_.string() + ".partial" : file_.string();
    to_file_.open(written_, std::ios::binary | std::ios::trunc);
    if (!to_file_) fail_to_write(written_.string());
    if (replaces_ && std::filesystem::exists(there)) {
      std::filesystem::permissions(written_, there.permissions(), ec);
    }
  }
  ~Output() {
    std::error_code ignored;
    if (replaces_ && !finished_) std::filesystem::remove(written_, ignored);
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  void write(const std::string& text) {
    const bool written =
        file_.empty()
            ? std::fwrite(text.data(), 1, text.size(), stdout) == text.size()
            : to_file_.write(text.data(), static_cast<std::streamsize>(text.size())).good();
    if (!written) fail_to_write(file_.empty() ? "to standard output" : written_.string());
  }
  void finish() {
    if (file_.empty()) {
      if (std::fflush(stdout) != 0) fail_to_write("to standard output");
      return;
    }
    to_file_.close();
    if (!to_file_) fail_to_write(written_.string());
    std::error_code ec;
    if (replaces_) std::filesystem::rename(written_, file_, ec);
    if (ec) throw infra::Unavailable("can't write " + file_.string() + ": " + ec.message());
    finished_ = true;
  }

 private:
  // Where a link leads, so that it stays one.
  static std::filesystem::path place_of(const std::string& file) {
    std::error_code ec;
    const auto place = std::filesystem::weakly_canonical(file, ec);
    return ec ? std::filesystem::path{file} : place;
  }

  const std::filesystem::path file_;
  std::filesystem::path written_;
  bool replaces_ = false;
  bool finished_ = false;
  std::ofstream to_file_;
};

std::string format_to_write(const ExportConfig& config) {
  if (config.out.empty() && config.format.empty()) return "jsonl";
  const auto format = format_of(config.format, config.out);
  if (!format) throw UsageError("say with --format whether " + config.out + " is csv or jsonl");
  return *format;
}

// Writes all pages, and counts in `written`. Throws Interrupted between two of them.
void write_pages(const ExportConfig& config, bool csv, Output& output, Progress& progress,
                 std::unordered_set<std::string>& written) {
  HttpClient client{config.server};
  std::string target = "/api/v1/contacts?page_size=" + std::to_string(limits::page_size_max);
  if (!config.at.empty()) target += "&at=" + encode_query_value(config.at);
  for (std::string cursor;;) {
    end_if_interrupted();
    const Answer answer =
        client.ask_patiently("GET", target + "&cursor=" + encode_query_value(cursor));
    if (answer.status != 200) throw ServerRefused(answer);
    const json::value page = json::parse(answer.body);
    std::string text;
    for (const json::value& contact : page.at("data").as_array()) {
      if (!written.insert(json::value_to<std::string>(contact.at("id"))).second) continue;
      text += csv ? csv_row(contact.as_object()) : json::serialize(contact) + '\n';
    }
    output.write(text);
    progress.at(written.size());
    const json::value& next = page.at("next_cursor");
    if (next.is_null()) return;
    cursor = json::value_to<std::string>(next);
  }
}

int export_contacts(const ExportConfig& config) {
  const bool csv = format_to_write(config) == "csv";
  Output output{config.out};
  note_interruptions();  // not before: to open a pipe may wait for long
  if (csv) output.write(csv_header());
  Progress progress{Progress::show_for(false), "export", "contacts", 0};
  // A contact that changes meanwhile comes again in the list.
  std::unordered_set<std::string> written;
  try {
    write_pages(config, csv, output, progress, written);
  } catch (const Interrupted&) {
    progress.finish(written.size());
    throw;
  }
  output.finish();
  progress.finish(written.size());
  return exit_done;
}

}  // namespace

void add_export(CommandLine& line) {
  const auto config = std::make_shared<ExportConfig>();
  CLI::App* app = line.app.add_subcommand("export", "Write an organization's contacts to a file");
  add_server(*app, config->server);
  app->add_option("--format", config->format,
                  "csv or jsonl; if not given, as --out ends, and on standard output jsonl")
      ->check(CLI::IsMember({"csv", "jsonl"}));
  app->add_option("--out", config->out, "The file; without one, or -, standard output");
  app->add_option("--at", config->at, "The contacts as they were at this time (ISO 8601)")
      ->check(CLI::Validator(check_time, "TIME"));
  app->callback([&line, config] {
    config->server.finish();
    if (config->out == "-") config->out.clear();
    line.chosen = [config] { return export_contacts(*config); };
  });
}

}  // namespace contactd::api

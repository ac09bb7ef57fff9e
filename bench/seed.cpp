// Puts contacts into a server through its API, over many connections that each wait for their
// answer, and PATCHes a range of them a counted number of times. Prints one line of JSON.
//
// Contact i belongs to the key i % keys. The file of ids has one id a line, in the order of i.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <cstddef>
#include <exception>
#include <fstream>
#include <iostream>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace json = boost::json;
using asio::ip::tcp;

using Clock = std::chrono::steady_clock;
using Executor = asio::io_context::executor_type;
using Stream = beast::basic_stream<tcp, Executor>;
using Request = http::request<http::string_body>;
template <class T>
using Task = asio::awaitable<T, Executor>;
constexpr asio::use_awaitable_t<Executor> wait;

constexpr auto answer_deadline = std::chrono::seconds{60};

struct Options {
  std::string server = "127.0.0.1:8080";
  std::string keys_file;
  std::string ids_file;
  std::size_t connections = 128;
  std::size_t requests = 0;
  std::size_t first = 0;
  std::size_t contacts = 0;
  std::string salt = "0";
  bool varied = false;
};

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  if (lines.empty()) throw std::runtime_error("there is nothing in " + path);
  return lines;
}

// What all connections share. One thread.
class Work {
 public:
  Work(const Options& options, bool patches)
      : options_(options),
        patches_(patches),
        keys_(lines_of(options.keys_file)),
        ids_(patches ? lines_of(options.ids_file) : std::vector<std::string>(options.requests)) {
    if (patches && options.first + options.contacts > ids_.size())
      throw std::runtime_error("there are not so many contacts in " + options.ids_file);
    latencies_us_.reserve(options.requests);
  }

  // Takes the number of the next request; false when all are taken.
  bool take(std::size_t& number) {
    if (next_ == options_.requests) return false;
    number = next_++;
    return true;
  }

  [[nodiscard]] Request request(std::size_t number) const {
    const std::size_t contact = patches_ ? options_.first + changed(number) : number;
    Request request{patches_ ? http::verb::patch : http::verb::post, "/api/v1/contacts", 11};
    if (patches_) request.target("/api/v1/contacts/" + ids_[contact]);
    request.set(http::field::host, options_.server);
    request.set("X-API-KEY", keys_[contact % keys_.size()]);
    request.set(http::field::content_type, "application/json");
    if (patches_) {
      request.body() = options_.varied ? varied_patch(number) : patch(number);
    } else {
      request.body() = creation(contact);
    }
    request.prepare_payload();
    return request;
  }

  void answered(std::size_t number, const http::response<http::string_body>& response,
                Clock::duration latency) {
    if (http::to_status_class(response.result()) != http::status_class::successful)
      throw std::runtime_error("request " + std::to_string(number) + " was answered with " +
                               std::to_string(response.result_int()) + ": " + response.body());
    latencies_us_.push_back(std::chrono::duration<double, std::micro>(latency).count());
    if (!patches_) {
      const json::value answer = json::parse(response.body());
      ids_[number] = answer.at("data").at("id").as_string().c_str();
    }
  }

  void save_ids() const {
    std::ofstream file(options_.ids_file, std::ios::trunc);
    for (const std::string& id : ids_) file << id << '\n';
    file.close();
    if (!file) throw std::runtime_error("cannot write " + options_.ids_file);
  }

  void print(Clock::duration taken) {
    std::ranges::sort(latencies_us_);
    const auto last = static_cast<double>(latencies_us_.size() - 1);
    const double seconds = std::chrono::duration<double>(taken).count();
    std::cout << "{\"requests\":" << latencies_us_.size() << ",\"seconds\":" << seconds
              << ",\"rate\":" << static_cast<double>(latencies_us_.size()) / seconds
              << ",\"p50_us\":" << latencies_us_[static_cast<std::size_t>(last * 0.5)]
              << ",\"p99_us\":" << latencies_us_[static_cast<std::size_t>(last * 0.99)] << "}\n";
  }

 private:
  static std::string creation(std::size_t contact) {
    return R"({"first_name":"Jane","last_name":"Doe","email":"jane.)" + std::to_string(contact) +
           R"(@example.com","phone_number":"+1234567890","job_title":"CEO",)"
           R"("company":"Acme Inc","location":"New York","tags":["vip"]})";
  }

  // Which contact the request is about: in turn; or any, half of the time one of a tenth.
  [[nodiscard]] std::size_t changed(std::size_t number) const {
    if (!options_.varied) return number % options_.contacts;
    std::mt19937_64 random{number};
    const std::uint64_t bits = random();
    const bool often = bits % 2 == 0 && options_.contacts >= 10;
    return static_cast<std::size_t>(random() %
                                    (often ? options_.contacts / 10 : options_.contacts));
  }

  // What people change: mostly one field, or three; some not in English.
  [[nodiscard]] std::string varied_patch(std::size_t number) const {
    const std::string value = options_.salt + "-" + std::to_string(number);
    switch (number % 10) {
      case 0:
      case 1:
      case 2:
      case 3:
        return patch(number);
      case 4:
      case 5:
        return R"({"job_title":"Head of Sales )" + value + R"("})";
      case 6:
        return R"({"company":"Zoë Müller & Söhne )" + value + R"(","location":"東京"})";
      case 7:
        return R"({"email":"jane.)" + value + R"(@example.com"})";
      case 8:
        return R"({"status":")" + std::string{number % 20 == 8 ? "inactive" : "active"} +
               R"(","website":"https://example.com/)" + value + R"("})";
      default:
        return R"({"tags":["vip",")" + value + R"("],"phone_number":"+1)" + value + R"("})";
    }
  }

  // Another value in every field at every request, so that each is one event.
  [[nodiscard]] std::string patch(std::size_t number) const {
    const std::string value = options_.salt + "-" + std::to_string(number);
    return R"({"first_name":"Janet )" + value + R"(","job_title":"CTO )" + value +
           R"(","tags":["vip","speaker",")" + value + R"("]})";
  }

  const Options& options_;
  const bool patches_;
  const std::vector<std::string> keys_;
  std::vector<std::string> ids_;
  std::vector<double> latencies_us_;
  std::size_t next_ = 0;
};

Task<void> connection(tcp::endpoint server, Work& work) {
  Stream stream(co_await asio::this_coro::executor);
  stream.expires_after(answer_deadline);
  co_await stream.async_connect(server, wait);
  stream.socket().set_option(tcp::no_delay(true));
  beast::flat_buffer buffer;
  for (std::size_t number = 0; work.take(number);) {
    const Request request = work.request(number);
    const auto start = Clock::now();
    stream.expires_after(answer_deadline);
    co_await http::async_write(stream, request, wait);
    http::response_parser<http::string_body> parser;
    co_await http::async_read(stream, buffer, parser, wait);
    work.answered(number, parser.get(), Clock::now() - start);
  }
}

void run(const Options& options, bool patches) {
  const auto colon = options.server.rfind(':');
  if (colon == std::string::npos) throw std::invalid_argument("--server is ADDRESS:PORT");
  const tcp::endpoint server(
      asio::ip::make_address(options.server.substr(0, colon)),
      static_cast<unsigned short>(std::stoul(options.server.substr(colon + 1))));

  Work work(options, patches);
  asio::io_context context(1);
  const auto start = Clock::now();
  for (std::size_t i = 0; i < options.connections; ++i)
    asio::co_spawn(context, connection(server, work), [](const std::exception_ptr& error) {
      if (error) std::rethrow_exception(error);
    });
  context.run();
  const auto taken = Clock::now() - start;
  if (!patches) work.save_ids();
  work.print(taken);
}

void add_common(CLI::App& command, Options& options) {
  command.add_option("--server", options.server, "ADDRESS:PORT")->required();
  command.add_option("--keys", options.keys_file, "file of API keys, one a line")->required();
  command.add_option("--ids", options.ids_file, "file of contact ids, one a line")->required();
  command.add_option("--connections", options.connections)->check(CLI::Range(1, 10000));
  command.add_option("--requests", options.requests)->required()->check(CLI::Range(1, 100000000));
}

}  // namespace

int main(int argc, char** argv) try {
  Options options;
  CLI::App app("Seeds a contactd through its API.");
  app.require_subcommand(1);
  CLI::App& create = *app.add_subcommand("create", "POST contacts; write the file of ids");
  add_common(create, options);
  CLI::App& patch = *app.add_subcommand("patch", "PATCH contacts of the file of ids, in turn");
  add_common(patch, options);
  patch.add_option("--first", options.first, "the first contact to change");
  patch.add_option("--contacts", options.contacts, "how many contacts to change, from the first")
      ->required()
      ->check(CLI::Range(1, 100000000));
  patch.add_flag("--varied", options.varied,
                 "draw the contacts, and change this or that, instead of the same in turn");
  patch.add_option("--salt", options.salt, "makes the values differ from those of other runs");
  CLI11_PARSE(app, argc, argv);
  run(options, patch.parsed());
  return 0;
} catch (const std::exception& error) {
  std::cerr << "bench_seed: " << error.what() << '\n';
  return 1;
}

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/json.hpp>
#include <chrono>
#include <cstdio>

#include "api/app.hpp"
#include "api/query.hpp"

namespace contactd::api {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace json = boost::json;

constexpr std::chrono::seconds request_wait_max{30};

struct Answer {
  unsigned status = 0;
  std::string body;
};

// One request, waiting at most `request_wait_max`. Throws boost::system::system_error.
Answer ask(const KeysConfig& config, http::verb method, const std::string& target,
           const std::string& body) {
  asio::io_context io;
  beast::tcp_stream stream{io};
  const auto run = [&](auto start) {
    boost::system::error_code result;
    stream.expires_after(request_wait_max);
    start([&result](boost::system::error_code ec, auto&&...) { result = ec; });
    io.restart();
    io.run();
    if (result) throw boost::system::system_error{result};
  };
  const auto found = asio::ip::tcp::resolver{io}.resolve(config.host, config.port);
  run([&](auto done) { stream.async_connect(found, done); });
  http::request<http::string_body> request{method, target, 11, body};
  request.set(http::field::host, config.host + ":" + config.port);
  request.set("X-API-KEY", config.admin_key);
  request.set(http::field::content_type, "application/json");
  request.set(http::field::connection, "close");
  request.prepare_payload();
  run([&](auto done) { http::async_write(stream, request, done); });
  beast::flat_buffer buffer;
  http::response<http::string_body> response;
  run([&](auto done) { http::async_read(stream, buffer, response, done); });
  return {response.result_int(), response.body()};
}

Answer create(const KeysConfig& config) {
  const json::object body{{"organization", config.organization},
                          {"name", config.name},
                          {"scopes", {{"contacts", config.contacts_scope}}}};
  return ask(config, http::verb::post, "/admin/v1/keys", json::serialize(body));
}

// All pages of the listing as one answer.
Answer list(const KeysConfig& config) {
  json::array all;
  std::string cursor;
  for (;;) {
    std::string target = "/admin/v1/keys?cursor=" + encode_query_value(cursor);
    if (!config.organization.empty()) {
      target += "&organization=" + encode_query_value(config.organization);
    }
    Answer answer = ask(config, http::verb::get, target, {});
    if (answer.status != 200) return answer;
    const json::value page = json::parse(answer.body);
    for (const json::value& key : page.at("data").as_array()) all.push_back(key);
    if (page.at("next_cursor").is_null()) break;
    cursor = json::value_to<std::string>(page.at("next_cursor"));
  }
  return {200, json::serialize(json::object{{"data", all}})};
}

std::string text(const json::value& object, const char* name) {
  const json::value& value = object.at(name);
  return value.is_string() ? json::value_to<std::string>(value) : json::serialize(value);
}

void print_for_people(const KeysConfig& config, const json::value& answer) {
  switch (config.action) {
    case KeysConfig::Action::create:
      std::printf("%s\n", text(answer.at("data"), "key").c_str());
      std::fprintf(stderr, "This is the only time that the key is shown. Its id is %s.\n",
                   text(answer.at("data"), "id").c_str());
      return;
    case KeysConfig::Action::list:
      for (const json::value& key : answer.at("data").as_array()) {
        std::printf("%s  %s  %s  contacts=%s  %s\n", text(key, "id").c_str(),
                    text(key, "organization").c_str(), text(key, "name").c_str(),
                    text(key.at("scopes"), "contacts").c_str(),
                    key.at("revoked_at").is_null() ? "holds" : "revoked");
      }
      return;
    case KeysConfig::Action::revoke:
      std::printf("revoked %s\n", text(answer, "id").c_str());
      return;
  }
}

Answer run(const KeysConfig& config) {
  switch (config.action) {
    case KeysConfig::Action::create:
      return create(config);
    case KeysConfig::Action::list:
      return list(config);
    case KeysConfig::Action::revoke:
      return ask(config, http::verb::delete_, "/admin/v1/keys/" + encode_query_value(config.id),
                 {});
  }
  std::abort();
}

}  // namespace

int manage_keys(const KeysConfig& config) {
  try {
    const Answer answer = run(config);
    if (answer.status >= 300) {
      std::fprintf(stderr, "contactd: the server answered %u: %s\n", answer.status,
                   answer.body.c_str());
      return 1;
    }
    if (config.json) {
      std::printf("%s\n", answer.body.c_str());
    } else {
      print_for_people(config, json::parse(answer.body));
    }
    return 0;
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "contactd: can't ask http://%s:%s: %s; is the server running there?\n",
                 config.host.c_str(), config.port.c_str(), problem.what());
    return 1;
  }
}

}  // namespace contactd::api

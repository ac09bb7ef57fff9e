#pragma once

#include <boost/json.hpp>
#include <string>

#include "tests/support/http_client.hpp"
#include "tests/support/server_process.hpp"

namespace contactd::test {

// Has a server of its own write a small log of all that a client can do; restarts it in between, so
// that some of it is in tables and some isn't.
inline void write_some_contacts(ServerProcess& server, int contacts) {
  namespace json = boost::json;
  HttpClient admin{server.port()};
  const auto made =
      admin.request("POST", "/admin/v1/keys",
                    {{"X-API-KEY", server.admin_key()}, {"Content-Type", "application/json"}},
                    R"({"organization":"acme","name":"test","scopes":{"contacts":"write"}})");
  const std::string key{made.json().at("data").at("key").as_string()};
  const auto write = [&](const char* method, const std::string& target, const std::string& body) {
    HttpClient client{server.port()};
    return client.request(method, target,
                          {{"X-API-KEY", key},
                           {"Content-Type", "application/json"},
                           {"Idempotency-Key", method + target + body}},
                          body);
  };
  for (int i = 0; i < contacts; ++i) {
    if (i == contacts / 2) {
      server.stop();
      server.start();
    }
    const std::string n = std::to_string(i);
    const auto created = write("POST", "/api/v1/contacts",
                               R"({"first_name":"Ann )" + n + R"(","email":"ann)" + n +
                                   R"(@example.com","tags":["vip",")" + n + R"("]})");
    const std::string id{created.json().at("data").at("id").as_string()};
    write("PATCH", "/api/v1/contacts/" + id, R"({"company":"Acme )" + n + R"("})");
    if (i % 7 == 0) write("DELETE", "/api/v1/contacts/" + id, "");
  }
}

}  // namespace contactd::test

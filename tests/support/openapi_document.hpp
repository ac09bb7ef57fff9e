#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/http_client.hpp"
#include "tests/support/json_schema.hpp"

namespace contactd::test {

// A request and its answer.
struct Exchange {
  std::string method;
  std::string target;
  std::string request_media_type;  // empty where the request had no body
  std::string request_body;
  Response response;
};

// One answer that the document says an operation may give.
struct DocumentedAnswer {
  std::string method;  // in capitals
  std::string path;    // as the document has it, such as /api/v1/contacts/{contactId}
  std::string status;

  auto operator<=>(const DocumentedAnswer&) const = default;
  std::string str() const { return method + ' ' + path + " -> " + status; }
};

// The server's OpenAPI 3.1 document, and what has been seen of the answers that it promises.
// Threads: any.
class OpenApiDocument {
 public:
  // Throws std::runtime_error where `document` isn't one.
  explicit OpenApiDocument(boost::json::value document);
  ~OpenApiDocument();

  const boost::json::value& json() const { return document_; }

  // What in the exchange the document doesn't say or says otherwise: the path, method and status,
  // the media type, required headers, the body's schema; and, where the server took the request,
  // the request's body. Remembers the answer as seen.
  std::vector<std::string> complaints_about(const Exchange& exchange);

  std::set<DocumentedAnswer> documented() const;
  std::set<DocumentedAnswer> seen() const;

 private:
  struct Route {
    std::string path;                   // as in the document
    std::vector<std::string> segments;  // with the server's base path; `{name}` matches any
    boost::json::object item;           // with references resolved
  };
  using Complaints = std::vector<std::string>;

  // Those that look at schemas. REQUIRE: mutex_ is held, except the first two.
  const Route* find_route(std::string_view target) const;
  Complaints about_undocumented_method(const Exchange& exchange, const Route& route);
  Complaints about_headers(const DocumentedAnswer& which, const boost::json::object& answer,
                           const Response& response);
  Complaints about_body(const DocumentedAnswer& which, const boost::json::object& answer,
                        const Exchange& exchange);
  Complaints about_request(const DocumentedAnswer& which, const boost::json::object& operation,
                           const Exchange& exchange);
  Complaints about_value(const std::string& name, const boost::json::value& schema,
                         const boost::json::value& value);

  // Constant after construction.
  boost::json::value document_;
  std::vector<Route> routes_;
  // Guarded by mutex_.
  mutable std::mutex mutex_;
  std::map<std::string, std::unique_ptr<JsonSchema>> schemas_;
  std::set<DocumentedAnswer> seen_;
};

}  // namespace contactd::test

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "api/feed_query.hpp"
#include "infra/writer.hpp"

// Requests and responses as the handlers see them, without Beast.
namespace contactd::api {

bool equal_ignoring_case(std::string_view a, std::string_view b);

// A request that was read whole. Its views live as long as the session's parser has it.
struct Request {
  std::string_view method;
  std::string_view target;
  std::vector<std::pair<std::string_view, std::string_view>> fields;
  std::string_view body;
  bool has_body = false;  // a Content-Length or chunks, be it of nothing
  std::string_view client_network;
  std::string request_id;  // the client's, if it sent a good one, or a new one

  // The value of the first field of that name; nothing if there is none.
  std::optional<std::string_view> field(std::string_view name) const;
  // All fields of that name as one list, as RFC 9110, section 5.3 has it.
  std::optional<std::string> joined_field(std::string_view name) const;
};

// A client's request id is kept if it is short and of visible ASCII.
bool good_request_id(std::string_view id);

using Fields = std::vector<std::pair<std::string_view, std::string>>;  // names are literals

struct Response {
  int status = 200;
  std::string_view content_type = "application/json";  // none where the body must have none
  std::string body;
  Fields fields;
  bool close = false;     // the connection can't be used further
  bool streamed = false;  // no body here: what follows is sent in chunks, for as long as it takes
  bool head = false;      // the answer to a HEAD: the body's length is told, the body isn't sent
  std::shared_ptr<const void> hold;  // to be kept as long as the body (held_answers.hpp)

  Response& with(std::string_view name, std::string value) & {
    fields.emplace_back(name, std::move(value));
    return *this;
  }
  Response with(std::string_view name, std::string value) && {
    fields.emplace_back(name, std::move(value));
    return std::move(*this);
  }
};

// A command for the writer, and how its outcome is told. `render` is called in the session.
struct Write {
  infra::Writer* writer = nullptr;
  infra::Submission submission;
  std::function<Response(const infra::Outcome&)> render;
  std::function<Response(infra::Refusal)> refuse;
};

// A read that may take long: run on another thread than the sessions'.
struct SlowRead {
  std::function<Response()> run;
  std::string organization = {};  // in whose turn (slow_reads.hpp); empty: nobody's
};

// A feed to be read, waited for or followed.
struct Feed {
  domain::OrganizationId organization;
  domain::KeyId key;
  FeedRequest request;
  bool stream = false;  // as Server-Sent Events
};

using Handled = std::variant<Response, Write, SlowRead, Feed>;

// The reason phrase of a status that contactd sends (RFC 9110, section 15).
std::string_view reason_of(int status);

// Appends the response, of a streamed one the head, as HTTP/1.`minor_version` bytes. A long body is
// left out and given back instead, not copied: it is to be sent next. `date` is the value of the
// Date field; `tls` is whether it goes over TLS. No answer is for caches, nor for a browser to make
// a page of.
[[nodiscard]] std::string append_response(std::string& out, Response response, int minor_version,
                                          bool keep_alive, std::string_view date,
                                          std::string_view request_id, bool tls);

}  // namespace contactd::api

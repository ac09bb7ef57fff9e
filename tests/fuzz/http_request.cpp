#include <algorithm>
#include <cstring>

#include "api/limits.hpp"
#include "api/request_reader.hpp"
#include "tests/fuzz/targets.hpp"

namespace contactd::fuzz {
namespace {

using api::equal_ignoring_case;
namespace limits = api::limits;

struct Transcript {
  std::vector<std::string> requests;
  bool refused = false;  // with which status may depend on the pieces: a header can be wrong twice

  bool operator==(const Transcript&) const = default;
};

std::size_t count_of(const api::Request& request, std::string_view name) {
  return static_cast<std::size_t>(
      std::count_if(request.fields.begin(), request.fields.end(),
                    [&](const auto& field) { return equal_ignoring_case(field.first, name); }));
}

// What request_guard.hpp promises of every request that is let through.
void require_guarded(const api::Request& request, int minor_version) {
  require(request.target.starts_with('/') && request.target.size() <= limits::target_bytes_max,
          "a target is a path of bounded length");
  require(std::all_of(request.target.begin(), request.target.end(),
                      [](char c) { return c > 0x20 && c < 0x7F && c != '#'; }),
          "a target is of visible ASCII");
  for (const char* name : {"Host", "Content-Length", "Transfer-Encoding", "X-API-KEY",
                           "Content-Type", "Idempotency-Key", "Expect"}) {
    require(count_of(request, name) <= 1, "a field that may come once comes once");
  }
  require(minor_version == 0 || count_of(request, "Host") == 1, "HTTP/1.1 has one Host");
  const auto coding = request.field("Transfer-Encoding");
  require(!coding || (equal_ignoring_case(*coding, "chunked") && minor_version == 1 &&
                      !request.field("Content-Length")),
          "Transfer-Encoding is chunked, without Content-Length, in HTTP/1.1");
  require(request.has_body || request.body.empty(), "a body is announced");
  require(request.body.size() <= limits::body_bytes_max, "a body is bounded");
  for (const auto& [name, value] : request.fields) {
    require(std::none_of(value.begin(), value.end(),
                         [](char c) { return c == '\r' || c == '\n' || c == '\0'; }),
            "a field has no line break and no NUL");
  }
}

std::string summary_of(const api::Request& request) {
  std::string all{request.method};
  all += ' ';
  all += request.target;
  for (const auto& [name, value] : request.fields) {
    all += '\n';
    all += name;
    all += ':';
    all += value;
  }
  all += "\n\n";
  all += request.body;
  return all;
}

// Feeds `bytes` in pieces: each as long as the next of `cuts`, over and over.
Transcript read_all(std::string_view bytes, const std::vector<std::size_t>& cuts) {
  Transcript transcript;
  api::RequestReader reader;
  reader.next();
  for (std::size_t piece = 0; !bytes.empty(); ++piece) {
    const std::size_t size = std::min(bytes.size(), cuts[piece % cuts.size()]);
    std::memcpy(reader.prepare(size).data(), bytes.data(), size);
    reader.commit(size);
    bytes.remove_prefix(size);
    for (;;) {
      if (reader.parse()) {
        transcript.refused = true;
        return transcript;
      }
      if (!reader.is_done()) break;
      const int minor_version = reader.minor_version();
      const api::Request request = reader.take_request("127.0.0.1");
      require_guarded(request, minor_version);
      transcript.requests.push_back(summary_of(request));
      if (!reader.keep_alive()) return transcript;
      reader.next();
    }
  }
  return transcript;
}

}  // namespace

void http_request(std::string_view input) {
  constexpr std::size_t at_once = limits::read_bytes;
  const Transcript whole = read_all(input, {at_once});
  require(whole == read_all(input, {1}), "bytes one by one give the same requests");
  require(whole == read_all(input, {7, 1, 100, 3}), "pieces of bytes give the same requests");
}

std::vector<std::string> http_request_seeds() {
  std::vector<std::string> all = files_of_suite("http_raw");
  const std::string head = "PATCH /api/v1/contacts/x HTTP/1.1\r\nHost: a:80\r\n";
  all.insert(all.end(),
             {"GET /healthz HTTP/1.1\r\nHost: [::1]:8080\r\n\r\nGET / HTTP/1.0\r\n\r\n",
              head + "X-API-KEY: k\r\nContent-Length: 2\r\n\r\n{}",
              head + "Transfer-Encoding: chunked\r\n\r\n1;a=b\r\n{\r\n1\r\n}\r\n0\r\nT: x\r\n\r\n",
              head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhel3\r\n\r\n\n",
              head + "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n"});
  return all;
}

}  // namespace contactd::fuzz

#include <boost/json.hpp>
#include <vector>

#include "tests/support/api_fixture.hpp"

// The bounds of the HTTP side, and the error that each of them is told with.
namespace contactd::test {
namespace {

namespace json = boost::json;

constexpr std::size_t body_bytes_max = 262'144;
constexpr std::size_t target_bytes_max = 4096;
constexpr std::size_t header_bytes_max = 16'384;

class HttpLimits : public ApiTest {
 protected:
  std::uint16_t port = shared_server().port();

  std::string patch_head(const std::string& id) const {
    return "PATCH " + contact_path(id) +
           " HTTP/1.1\r\nHost: localhost\r\nX-API-KEY: " + user.key() + "\r\n";
  }
};

// Refusals of this layer are JSON like all others, and end the connection.
void expect_refusal(RawConnection& connection, unsigned status) {
  ResponseReader reader{connection};
  const Response response = reader.read();
  EXPECT_EQ(response.status, status) << response.body;
  EXPECT_EQ(response.media_type(), "application/json");
  EXPECT_TRUE(response.json().at("error").is_string());
  EXPECT_EQ(response.header("Connection"), "close");
  EXPECT_TRUE(reader.at_end());
}

ServerSettings impatient() {
  return {{"--header-timeout-ms", "200", "--request-timeout-ms", "400", "--idle-timeout-ms", "200"},
          {}};
}

TEST_F(HttpLimits, ARequestThatDoesNotArriveInTimeIs408) {
  ServerProcess server{impatient()};
  ApiUser client = given_user(server);
  const std::string head = "PATCH " + contact_path("AbCdEfGhIjKlMnOpQrSt") +
                           " HTTP/1.1\r\nHost: x\r\nX-API-KEY: " + client.key() + "\r\n";
  std::vector<RawConnection> connections;
  for (const std::string& part :
       {std::string{"P"}, std::string{"GET /healthz HTTP/1.1"}, head,
        head + "Content-Length: 10\r\n\r\n", head + "Content-Length: 10\r\n\r\n{\"a\":",
        head + "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"a"}) {
    connections.emplace_back(server.port());
    connections.back().send(part);
  }
  for (RawConnection& connection : connections) expect_refusal(connection, 408);
}

TEST_F(HttpLimits, AnIdleConnectionIsClosedWithoutAWord) {
  ServerProcess server{impatient()};
  RawConnection fresh{server.port()};
  RawConnection used{server.port()};
  used.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
  ResponseReader reader{used};
  EXPECT_EQ(reader.read().status, 200U);

  EXPECT_TRUE(reader.at_end());
  const RawConnection::Received received = fresh.read_until_close();
  EXPECT_TRUE(received.closed);
  EXPECT_EQ(received.bytes, "");
}

TEST_F(HttpLimits, ABodyWithoutALengthIs411) {
  const Contact ann = user.given_contact();
  const Response patched = send_raw(port, patch_head(ann.id) + "\r\n");
  expect_documented({"PATCH", contact_path(ann.id), {}, {}, patched});
  EXPECT_EQ(patched.status, 411U);
  EXPECT_EQ(send_raw(port, "POST /api/v1/contacts HTTP/1.1\r\nHost: x\r\nX-API-KEY: " + user.key() +
                               "\r\n\r\n")
                .status,
            411U);
}

TEST_F(HttpLimits, ABodyOverTheLimitIs413) {
  const Contact ann = user.given_contact();
  const std::string padding(body_bytes_max - 2, ' ');
  user.patch(ann.id, "{" + padding + "}").then(200);
  user.patch(ann.id, "{" + padding + " }").then(413);

  RawConnection announced{port};
  announced.send(patch_head(ann.id) + "Content-Length: 262145\r\n\r\n");
  expect_refusal(announced, 413);
  RawConnection chunked{port};
  chunked.send(patch_head(ann.id) + "Transfer-Encoding: chunked\r\n\r\n40001\r\n{" +
               std::string(body_bytes_max, ' ') + "\r\n0\r\n\r\n");
  expect_refusal(chunked, 413);
  user.read(ann.id).with_header("ETag", ann.etag);
}

TEST_F(HttpLimits, ChunksThatAreMostlyFramingAre400) {
  const Contact ann = user.given_contact();
  const std::string head = patch_head(ann.id) + "Transfer-Encoding: chunked\r\n\r\n";
  constexpr std::size_t framing_max = 16'384;
  // One extension without end, many of them, a trailer without end.
  std::string many;
  for (int i = 0; i < 100; ++i) many += "1;" + std::string(1000, 'x') + "\r\n \r\n";
  for (const std::string& body :
       {"1;" + std::string(2 * framing_max, 'x'), many,
        "2\r\n{}\r\n0\r\nTrailer: " + std::string(2 * framing_max, 'x')}) {
    RawConnection connection{port};
    connection.send(head + body);
    expect_refusal(connection, 400);
  }
  // A byte a chunk is still taken.
  std::string small;
  for (const char c : "{" + std::string(5000, ' ') + "}") {
    small += std::string{"1\r\n"} + c + "\r\n";
  }
  EXPECT_EQ(send_raw(port, head + small + "0\r\n\r\n").status, 200U);
}

TEST_F(HttpLimits, AHugeBodyIsRefusedAndTheAnswerStillArrives) {
  const Contact ann = user.given_contact();
  RawConnection connection{port};
  connection.send(patch_head(ann.id) + "Content-Length: 1000000\r\n\r\n" +
                  std::string(1'000'000, ' '));
  expect_refusal(connection, 413);
}

TEST_F(HttpLimits, ATargetOverTheLimitIs414) {
  const std::string path = "/healthz?";
  const auto get = [&](std::size_t length) {
    return "GET " + path + std::string(length - path.size(), 'x') +
           " HTTP/1.1\r\nHost: localhost\r\n\r\n";
  };
  EXPECT_NE(send_raw(port, get(target_bytes_max)).status, 414U);
  for (const std::size_t length :
       {target_bytes_max + 1, header_bytes_max - 50, std::size_t{100'000}}) {
    RawConnection connection{port};
    connection.send(get(length));
    expect_refusal(connection, 414);
  }
}

TEST_F(HttpLimits, HeadersOverTheLimitAre431) {
  const std::string head = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n";
  const auto one_field = [&](std::size_t bytes) {
    return head + "X: " + std::string(bytes - head.size() - 7, 'x') + "\r\n\r\n";
  };
  std::string many = head;
  for (int i = 0; i < 1000; ++i) many += "X-Field-" + std::to_string(i) + ": some value\r\n";
  EXPECT_EQ(send_raw(port, one_field(header_bytes_max)).status, 200U);
  for (const std::string& request :
       {one_field(header_bytes_max + 1), one_field(100'000), many + "\r\n"}) {
    RawConnection connection{port};
    connection.send(request);
    expect_refusal(connection, 431);
  }
}

TEST_F(HttpLimits, TooManyConnectionsAre503WithRetryAfter) {
  ServerProcess server{{{"--max-connections", "2"}, {}}};
  std::vector<RawConnection> open;
  for (int i = 0; i < 2; ++i) {
    open.emplace_back(server.port());
    open.back().send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(ResponseReader{open.back()}.read().status, 200U);
  }
  RawConnection third{server.port()};
  third.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
  ResponseReader reader{third};
  const Response refused = reader.read();
  expect_documented({"GET", "/healthz", {}, {}, refused});
  EXPECT_EQ(refused.status, 503U);
  EXPECT_TRUE(refused.header("Retry-After"));
  EXPECT_TRUE(reader.at_end());
}

TEST_F(HttpLimits, APlaceThatWasGivenUpIsFreeAgain) {
  ServerProcess server{{{"--max-connections", "1"}, {}}};
  constexpr int tries_max = 100'000;
  for (int round = 0; round < 5; ++round) {
    unsigned status = 503;
    for (int i = 0; i < tries_max && status == 503; ++i) {
      status = send_raw(server.port(), "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").status;
    }
    EXPECT_EQ(status, 200U);
  }
}

// Patches of one contact, each to another value.
std::vector<Request> patches_of(const Contact& contact, const ApiUser& user, int round) {
  std::vector<Request> patches(32);
  for (std::size_t i = 0; i < patches.size(); ++i) {
    const std::string value = std::to_string(round) + '-' + std::to_string(i);
    patches[i] = {"PATCH",
                  contact_path(contact.id),
                  {{"X-API-KEY", user.key()}},
                  json::serialize(json::object{{"company", value}})};
  }
  return patches;
}

TEST_F(HttpLimits, AFullQueueIs503WithRetryAfterAndChangesNothing) {
  ServerProcess server{{{"--queue-max", "1"}, {}}};
  ApiUser client = given_user(server);
  const Contact ann = client.given_contact();
  constexpr int rounds_max = 500;
  std::size_t changes = 0;
  std::size_t refused = 0;
  for (int round = 0; round < rounds_max && refused == 0; ++round) {
    for (const Response& response : send_at_once(server.port(), patches_of(ann, client, round))) {
      expect_documented({"PATCH", contact_path(ann.id), {}, {}, response});
      if (response.status == 200) {
        ++changes;
      } else {
        ++refused;
        EXPECT_EQ(response.status, 503U) << response.body;
        EXPECT_TRUE(response.header("Retry-After"));
      }
    }
  }
  EXPECT_GT(refused, 0U) << "in " << rounds_max << " rounds";
  client.read(ann.id).with_header("ETag", "\"" + std::to_string(changes + 1) + "\"");
}

}  // namespace
}  // namespace contactd::test

#include <boost/json.hpp>
#include <set>
#include <vector>

#include "tests/support/api_fixture.hpp"

// HTTP itself (RFC 9110 and 9112), as the contract asks for it.
namespace contactd::test {
namespace {

namespace json = boost::json;

class Http : public ApiTest {
 protected:
  std::uint16_t port = shared_server().port();

  // A request line and the headers that every request here has; more may follow.
  std::string head(std::string_view line) const {
    return std::string{line} + "\r\nHost: localhost\r\nX-API-KEY: " + user.key() + "\r\n";
  }
  std::string patch_with(const std::string& id, std::string_view more) const {
    return head("PATCH " + contact_path(id) + " HTTP/1.1") + std::string{more};
  }
};

void expect_error(const Response& response, unsigned status) {
  EXPECT_EQ(response.status, status) << response.body;
  EXPECT_EQ(response.media_type(), "application/json");
  const json::value body = response.json();
  EXPECT_TRUE(body.is_object() && body.as_object().contains("error")) << response.body;
  EXPECT_TRUE(response.header("X-Request-Id"));
}

TEST_F(Http, AMalformedRequestLineIs400AndCloses) {
  for (const std::string line :
       {"GET", "GET /healthz", "GET  /healthz HTTP/1.1", "GET /healthz HTTP/1.1 x",
        "GET /healthz HTTP/x.y", "G\x01T /healthz HTTP/1.1", "GET /heal thz HTTP/1.1",
        " GET /healthz HTTP/1.1", "GET\t/healthz\tHTTP/1.1", "G(T /healthz HTTP/1.1",
        "GET \x7f HTTP/1.1", "\x16\x03\x01 TLS", "GET /healthz http/1.1"}) {
    RawConnection connection{port};
    connection.send(line + "\r\nHost: localhost\r\n\r\n");
    expect_error(ResponseReader{connection}.read(), 400);
    EXPECT_TRUE(connection.read_until_close().closed) << line;
  }
}

TEST_F(Http, AVersionThatIsNotSpokenIs505) {
  for (const std::string version : {"HTTP/2.0", "HTTP/0.9", "HTTP/1.2", "HTTP/3.1"}) {
    const Response response =
        send_raw(port, "GET /healthz " + version + "\r\nHost: localhost\r\n\r\n");
    EXPECT_TRUE(response.status == 505 || response.status == 400) << response.status;
  }
}

TEST_F(Http, MalformedHeaderFieldsAre400) {
  for (const std::string field : {"no colon", ": no name", "Na me: x", "Name : x", "Name: a\x01z",
                                  "Name: a\rb", " folded: x", "X: y\r\n folded"}) {
    expect_error(send_raw(port, head("GET /healthz HTTP/1.1") + field + "\r\n\r\n"), 400);
  }
}

TEST_F(Http, HostIsAskedForInHttp11) {
  expect_error(send_raw(port, "GET /healthz HTTP/1.1\r\n\r\n"), 400);
  expect_error(send_raw(port, "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400);
  for (const char* const host :
       {"", "a b", "a/b", "u@a", "[", "[]", "[::1", "[::1]x", "[a]b:1", "[g::]", "%", "%z1", "%1",
        "a:b", "a:-1", "a:65536", "a:1:2", ":80", "a]"}) {
    SCOPED_TRACE(host);
    expect_error(send_raw(port, "GET /healthz HTTP/1.1\r\nHost: " + std::string{host} + "\r\n\r\n"),
                 400);
  }
  for (const char* const host : {"a", "a:", "a.example:65535", "[::1]", "[::ffff:127.0.0.1]:80",
                                 "127.0.0.1:1", "a_b", "%41", "a,b"}) {
    SCOPED_TRACE(host);
    EXPECT_EQ(
        send_raw(port, "GET /healthz HTTP/1.1\r\nHost: " + std::string{host} + "\r\n\r\n").status,
        200U);
  }
  EXPECT_EQ(send_raw(port, "GET /healthz HTTP/1.0\r\n\r\n").status, 200U);
}

TEST_F(Http, AmbiguousLengthsAre400AndClose) {
  const Contact ann = user.given_contact();
  for (const std::string fields :
       {"Content-Length: 2\r\nTransfer-Encoding: chunked", "Content-Length: 2\r\nContent-Length: 3",
        "Content-Length: 2, 3", "Content-Length: -2", "Content-Length: +2", "Content-Length: 0x2",
        "Content-Length: 2 2", "Content-Length: ", "Content-Length: 99999999999999999999",
        "Transfer-Encoding: gzip, x", "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: xchunked"}) {
    RawConnection connection{port};
    connection.send(patch_with(ann.id, fields + "\r\n\r\n{}"));
    const Response response = ResponseReader{connection}.read();
    EXPECT_TRUE(response.status == 400 || response.status == 413 || response.status == 501)
        << fields << " -> " << response.status;
    EXPECT_TRUE(connection.read_until_close().closed) << fields;
  }
  user.read(ann.id).with_header("ETag", ann.etag);
}

TEST_F(Http, MethodsThatAPathDoesNotHaveAre405WithAllow) {
  const Contact ann = user.given_contact();
  const std::vector<std::pair<std::string, std::string>> paths = {
      {contact_path(ann.id), "GET, HEAD, PATCH, DELETE, OPTIONS"},
      {"/api/v1/contacts", "GET, HEAD, POST, OPTIONS"},
      {"/admin/v1/keys", "GET, HEAD, POST, OPTIONS"},
      {"/admin/v1/keys/x", "DELETE, OPTIONS"},
      {"/healthz", "GET, HEAD, OPTIONS"},
      {"/readyz", "GET, HEAD, OPTIONS"},
      {"/metrics", "GET, HEAD, OPTIONS"},
      {"/openapi.json", "GET, HEAD, OPTIONS"},
  };
  for (const auto& [path, allow] : paths) {
    for (const std::string method : {"PUT", "TRACE", "PROPFIND", "get", "FOO"}) {
      user.send(method, path).then(405).with_header("Allow", allow);
    }
    user.send("OPTIONS", path).then(204).with_header("Allow", allow);
  }
  user.send("POST", contact_path(ann.id), {}, "{}").then(405).with_header("Allow");
}

TEST_F(Http, OptionsTellsOfPatchFormats) {
  const Contact ann = user.given_contact();
  const Answer options =
      user.send("OPTIONS", contact_path(ann.id)).then(204).with_header("Accept-Patch");
  EXPECT_NE(options.response().header("Accept-Patch")->find("application/merge-patch+json"),
            std::string::npos);
  EXPECT_EQ(options.body(), "");
}

TEST_F(Http, OtherMediaTypesAre415WithAcceptPatch) {
  const Contact ann = user.given_contact();
  for (const std::string type :
       {"text/plain", "application/x-www-form-urlencoded", "application/json-patch+json",
        "application/jsonx", "multipart/form-data; boundary=x", "json", "", "*/*",
        "application/json; charset=latin1", "application/json; profile=x; charset=latin1"}) {
    user.patch(ann.id, "{}", {{"Content-Type", type}}).then(415).with_header("Accept-Patch");
    user.create("{}", {{"Content-Type", type}}).then(415);
  }
}

TEST_F(Http, AConnectionIsKeptForTheNextRequest) {
  RawConnection connection{port};
  ResponseReader reader{connection};
  for (int i = 0; i < 100; ++i) {
    connection.send(head("GET /api/v1/contacts HTTP/1.1") + "\r\n");
    EXPECT_EQ(reader.read().status, 200U);
  }
}

TEST_F(Http, ARefusedRequestKeepsTheConnectionToo) {
  const Contact ann = user.given_contact();
  RawConnection connection{port};
  ResponseReader reader{connection};
  for (const std::string body : {"{", "[]", R"({"id": 1})", "{}"}) {
    connection.send(
        patch_with(ann.id, "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body));
    EXPECT_EQ(reader.read().status, body == "{}" ? 200U : 400U);
  }
}

TEST_F(Http, ConnectionCloseIsHonoured) {
  RawConnection connection{port};
  connection.send(head("GET /healthz HTTP/1.1") + "Connection: close\r\n\r\n");
  ResponseReader reader{connection};
  const Response response = reader.read();
  EXPECT_EQ(response.status, 200U);
  EXPECT_EQ(response.header("Connection"), "close");
  EXPECT_TRUE(reader.at_end());
}

TEST_F(Http, Http10ClosesUnlessItAsksToKeep) {
  RawConnection once{port};
  once.send("GET /healthz HTTP/1.0\r\n\r\n");
  ResponseReader reader{once};
  EXPECT_EQ(reader.read().status, 200U);
  EXPECT_TRUE(reader.at_end());

  RawConnection kept{port};
  ResponseReader kept_reader{kept};
  for (int i = 0; i < 3; ++i) {
    kept.send("GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    const Response response = kept_reader.read();
    EXPECT_EQ(response.status, 200U);
    EXPECT_EQ(response.header("Connection"), "keep-alive");
  }
}

TEST_F(Http, PipelinedRequestsAreAnsweredInOrder) {
  const Contact ann = user.given_contact();
  constexpr int count = 50;
  std::string requests;
  for (int i = 0; i < count; ++i) {
    const std::string body = R"({"company": ")" + std::to_string(i) + "\"}";
    requests += patch_with(ann.id, "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n") +
                body + head("GET " + contact_path(ann.id) + " HTTP/1.1") + "\r\n";
  }
  RawConnection connection{port};
  connection.send(requests);
  ResponseReader reader{connection};
  for (int i = 0; i < count; ++i) {
    const Response patched = reader.read();
    EXPECT_EQ(patched.status, 200U);
    EXPECT_EQ(patched.json().at("data").at("company"), text(std::to_string(i)));
    EXPECT_EQ(reader.read().body, patched.body);
  }
}

TEST_F(Http, AfterConnectionCloseNoFurtherRequestIsAnswered) {
  const Contact ann = user.given_contact();
  RawConnection connection{port};
  connection.send(head("GET /healthz HTTP/1.1") + "Connection: close\r\n\r\n" +
                  patch_with(ann.id, "Content-Length: 15\r\n\r\n{\"company\":\"A\"}"));
  ResponseReader reader{connection};
  EXPECT_EQ(reader.read().status, 200U);
  EXPECT_TRUE(reader.at_end());
  user.read(ann.id).with_header("ETag", ann.etag);
}

TEST_F(Http, ARequestMayComeByteByByte) {
  const Contact ann = user.given_contact();
  const std::string request = patch_with(ann.id, "Content-Length: 15\r\n\r\n{\"company\":\"A\"}");
  RawConnection connection{port};
  for (const char byte : request) connection.send({&byte, 1});
  EXPECT_EQ(ResponseReader{connection}.read().status, 200U);
}

TEST_F(Http, ARequestMayComeInTwoPiecesCutAnywhere) {
  const Contact ann = user.given_contact();
  const std::string before = head("GET /healthz HTTP/1.1") + "\r\n";
  const std::string request = patch_with(ann.id, "Content-Length: 15\r\n\r\n{\"company\":\"A\"}");
  for (std::size_t cut = 1; cut < request.size(); ++cut) {
    RawConnection connection{port};
    ResponseReader reader{connection};
    // The first piece comes with a whole request: once that is answered, the piece has been read.
    connection.send(before + request.substr(0, cut));
    EXPECT_EQ(reader.read().status, 200U);
    connection.send(request.substr(cut));
    EXPECT_EQ(reader.read().status, 200U) << "cut after " << request.substr(0, cut);
  }
}

TEST_F(Http, AClientThatHasSaidAllIsStillAnswered) {
  RawConnection connection{port};
  connection.send(head("GET /healthz HTTP/1.1") + "\r\n");
  connection.finish_sending();
  EXPECT_EQ(ResponseReader{connection}.read().status, 200U);
}

TEST_F(Http, EmptyLinesBeforeARequestArePassedOver) {
  EXPECT_EQ(send_raw(port, "\r\n\r\n" + head("GET /healthz HTTP/1.1") + "\r\n").status, 200U);
}

TEST_F(Http, ExpectContinueIsAnsweredBeforeTheBodyIsSent) {
  const Contact ann = user.given_contact();
  RawConnection connection{port};
  ResponseReader reader{connection};
  connection.send(patch_with(ann.id, "Expect: 100-continue\r\nContent-Length: 15\r\n\r\n"));
  EXPECT_EQ(reader.read().status, 100U);
  connection.send(R"({"company":"A"})");
  EXPECT_EQ(reader.read().status, 200U);
}

// RFC 9110, section 10.1.1.
TEST_F(Http, ExpectContinueOfHttp10IsPassedOver) {
  const Contact ann = user.given_contact();
  const std::string request = "PATCH /api/v1/contacts/" + ann.id +
                              " HTTP/1.0\r\nX-API-KEY: " + user.key() +
                              "\r\nExpect: 100-continue\r\nContent-Length: 15\r\n\r\n";
  EXPECT_EQ(send_raw(port, request + R"({"company":"A"})").status, 200U);
}

TEST_F(Http, ExpectOfABodyThatIsTooLargeIsRefusedInstead) {
  const Contact ann = user.given_contact();
  expect_error(
      send_raw(port, patch_with(ann.id, "Expect: 100-continue\r\nContent-Length: 999999\r\n\r\n")),
      413);
}

TEST_F(Http, ABodyMayComeInChunks) {
  const Contact ann = user.given_contact();
  for (const std::string chunks :
       {"f\r\n{\"company\":\"A\"}\r\n0\r\n\r\n",
        "1\r\n{\r\n2;name=value\r\n\"c\r\nC\r\nompany\":\"B\"}\r\n000\r\n\r\n",
        "F\r\n{\"company\":\"C\"}\r\n0\r\nTrailer: x\r\n\r\n"}) {
    EXPECT_EQ(
        send_raw(port, patch_with(ann.id, "Transfer-Encoding: chunked\r\n\r\n" + chunks)).status,
        200U)
        << chunks;
  }
  user.read(ann.id).with_header("ETag", "\"4\"").with_field("company", "C");
}

TEST_F(Http, ABodysEndMayComeByteByByte) {
  const Contact ann = user.given_contact();
  for (const std::string chunks :
       {"0\r\n\r\n", "2\r\n{}\r\n0\r\n\r\n", "000;a=b\r\nT: x\r\n\r\n"}) {
    RawConnection connection{port};
    connection.send(patch_with(ann.id, "Transfer-Encoding: chunked\r\n\r\n"));
    for (const char c : chunks) {
      connection.send({&c, 1});
      // That it answers in between keeps the bytes apart, more or less.
      EXPECT_EQ(send_raw(port, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").status, 200U);
    }
    const unsigned expected = chunks.starts_with("2") ? 200 : 400;
    EXPECT_EQ(ResponseReader{connection}.read().status, expected) << chunks;
  }
}

TEST_F(Http, ATrailerIsNoHeader) {
  const Contact ann = user.given_contact();
  const std::string chunks = "f\r\n{\"company\":\"A\"}\r\n0\r\n";
  // The key comes too late, and so does the precondition.
  const Response without_key =
      send_raw(port, "PATCH " + contact_path(ann.id) +
                         " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks +
                         "X-API-KEY: " + user.key() + "\r\n\r\n");
  EXPECT_EQ(without_key.status, 401U);
  const Response patched =
      send_raw(port, patch_with(ann.id, "Transfer-Encoding: chunked\r\n\r\n" + chunks +
                                            "If-Match: \"9\"\r\nX-Request-Id: late\r\n\r\n"));
  EXPECT_EQ(patched.status, 200U);
  EXPECT_NE(patched.header("X-Request-Id"), "late");
  // Nor does it end the connection.
  RawConnection connection{port};
  ResponseReader reader{connection};
  connection.send(patch_with(
      ann.id, "Transfer-Encoding: chunked\r\n\r\n" + chunks + "Connection: close\r\n\r\n"));
  EXPECT_EQ(reader.read().status, 200U);
  connection.send(head("GET /healthz HTTP/1.1") + "\r\n");
  EXPECT_EQ(reader.read().status, 200U);
}

TEST_F(Http, AnswersAreNotForCachesNorForPages) {
  const Contact ann = user.given_contact();
  for (const Answer& answer : {user.read(ann.id), user.read("nobody"), user.list(),
                               user.send("GET", "/healthz"), user.send("OPTIONS", "/healthz")}) {
    answer.with_header("X-Content-Type-Options", "nosniff")
        .with_header("Cache-Control", "no-store")
        .with_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
    EXPECT_EQ(answer.response().count_headers("Cache-Control"), 1U);
  }
  const Response refused = send_raw(port, "GET /healthz HTTP/1.1\r\n\r\n");
  EXPECT_EQ(refused.header("X-Content-Type-Options"), "nosniff");
}

TEST_F(Http, MalformedChunksAre400) {
  const Contact ann = user.given_contact();
  const std::string whole = "f\r\n{\"company\":\"A\"}\r\n";
  for (const std::string& chunks : {
           // sizes
           std::string{"x\r\n{}\r\n0\r\n\r\n"},
           std::string{"-2\r\n{}\r\n0\r\n\r\n"},
           std::string{"+2\r\n{}\r\n0\r\n\r\n"},
           std::string{"\r\n{}\r\n0\r\n\r\n"},
           std::string{"fffffffffffffffff\r\n{}\r\n0\r\n\r\n"},
           std::string{"0x2\r\n{}\r\n0\r\n\r\n"},
           std::string{" 2\r\n{}\r\n0\r\n\r\n"},
           std::string{"2 \r\n{}\r\n0\r\n\r\n"},
           std::string{"2 2\r\n{}\r\n0\r\n\r\n"},
           // ends of lines, and of data
           std::string{"2\n{}\r\n0\r\n\r\n"},
           std::string{"2\r{}\r\n0\r\n\r\n"},
           std::string{"2;a\n{}\r\n0\r\n\r\n"},
           std::string{"2;a\rb\r\n{}\r\n0\r\n\r\n"},
           std::string{"2\r\n{}x\r\n0\r\n\r\n"},
           std::string{"2\r\n{}\n0\r\n\r\n"},
           std::string{"2\r\n{}0\r\n\r\n"},
           // extensions
           std::string{"2;a=\x01\r\n{}\r\n0\r\n\r\n"},
           // trailers
           whole + "0\r\nno field\r\n\r\n",
           whole + "0\r\nA: b\r\n folded\r\n\r\n",
           whole + "0\r\n\tA: b\r\n\r\n",
           whole + "0\r\nA : b\r\n\r\n",
           whole + "0\r\nA: \x01\r\n\r\n",
           whole + "0\r\nA: b\n\r\n\r\n",
           whole + "0\r\nA: b\r\n\rX",
           whole + "0\r\nContent-Length: 15\r\n\r\n",
           whole + "0\r\nTransfer-Encoding: chunked\r\n\r\n",
           whole + "0\r\nHost: y\r\n\r\n",
       }) {
    const Response response =
        send_raw(port, patch_with(ann.id, "Transfer-Encoding: chunked\r\n\r\n" + chunks));
    EXPECT_EQ(response.status, 400U) << chunks;
  }
  user.read(ann.id).with_header("ETag", ann.etag);
}

TEST_F(Http, ARequestIdIsAcceptedAndReturnedEverywhere) {
  const Contact ann = user.given_contact();
  const Headers headers = {{"X-Request-Id", "my-request.1"}};
  ApiUser nobody{port, ""};
  for (const Answer& answer :
       {user.read(ann.id, headers), user.patch(ann.id, "{}", headers),
        user.patch(ann.id, R"({"company": "A"})", headers), user.patch(ann.id, "{", headers),
        user.create("{}", headers), user.read("nobody", headers), nobody.read(ann.id, headers),
        user.send("GET", "/nowhere", headers), user.send("PUT", "/healthz", headers),
        user.send("GET", "/healthz", headers), user.send("GET", "/metrics", headers),
        user.send("GET", "/openapi.json", headers), user.send("OPTIONS", "/healthz", headers),
        user.send("GET", "/api/v1/contacts", headers), user.remove(ann.id, headers)}) {
    answer.with_header("X-Request-Id", "my-request.1");
    EXPECT_EQ(answer.response().count_headers("X-Request-Id"), 1U);
  }
}

TEST_F(Http, ARequestIdIsReturnedAlsoWithWhatTheHttpLayerRefuses) {
  const std::string id = "\r\nx-request-id:  my-request.2 \r\n";
  const std::vector<std::pair<std::string, unsigned>> rows = {
      {"PATCH /api/v1/contacts/x HTTP/1.1" + id + "Host: x\r\nContent-Length: 300000\r\n\r\n", 413},
      {"GET /" + std::string(5000, 'x') + " HTTP/1.1" + id + "Host: x\r\n\r\n", 414},
      {"GET / HTTP/1.1" + id + "Host: x\r\nX: " + std::string(17'000, 'x') + "\r\n\r\n", 431},
      {"GET / HTTP/1.1" + id + "\r\n", 400},
      {"GET / HTTP/1.1" + id + "Host: x\r\nContent-Length: -1\r\n\r\n", 400},
  };
  for (const auto& [request, status] : rows) {
    const Response response = send_raw(port, request);
    EXPECT_EQ(response.status, status) << response.body;
    EXPECT_EQ(response.header("X-Request-Id"), "my-request.2") << status;
  }
}

TEST_F(Http, AnEncodedBodyIs415) {
  const Contact ann = user.given_contact();
  user.patch(ann.id, "{}", {{"Content-Encoding", "gzip"}})
      .then(415)
      .with_header("Accept-Encoding", "identity");
  user.patch(ann.id, "{}", {{"Content-Encoding", "identity"}}).then(200);
}

TEST_F(Http, ARequestWithoutAnIdGetsOneOfItsOwn) {
  std::set<std::string> ids;
  for (int i = 0; i < 20; ++i) {
    const Answer answer = user.send("GET", "/healthz").with_header("X-Request-Id");
    EXPECT_TRUE(ids.insert(*answer.response().header("X-Request-Id")).second);
  }
}

TEST_F(Http, ARequestIdThatIsNotFitIsReplaced) {
  for (const std::string& id :
       {std::string(129, 'x'), std::string{"a b"}, std::string{"\xc3\xa9"}, std::string{}}) {
    const Answer answer = user.send("GET", "/healthz", {{"X-Request-Id", id}}).then(200);
    answer.with_header("X-Request-Id");
    EXPECT_NE(answer.response().header("X-Request-Id"), id);
  }
  const std::string longest(128, 'i');
  user.send("GET", "/healthz", {{"X-Request-Id", longest}}).with_header("X-Request-Id", longest);
}

TEST_F(Http, EveryAnswerHasADateAndALength) {
  for (const std::string target : {"/healthz", "/nowhere", "/api/v1/contacts", "/metrics"}) {
    user.send("GET", target).with_header("Date").with_header("Content-Length");
  }
}

TEST_F(Http, HeaderNamesAreReadInAnyCase) {
  EXPECT_EQ(send_raw(port, "GET /api/v1/contacts HTTP/1.1\r\nhost: x\r\nx-Api-kEY: " + user.key() +
                               "\r\n\r\n")
                .status,
            200U);
}

TEST_F(Http, ClientsThatVanishDoNoHarm) {
  const Contact ann = user.given_contact();
  for (int i = 0; i < 50; ++i) {
    RawConnection connection{port};
    connection.send(patch_with(ann.id, "Content-Length: 15\r\n\r\n{\"company\":"));
    connection.reset();
    RawConnection asker{port};
    asker.send(head("GET /api/v1/contacts HTTP/1.1") + "\r\n");
    asker.reset();
  }
  user.read(ann.id).then(200).with_header("ETag", ann.etag);
}

}  // namespace
}  // namespace contactd::test

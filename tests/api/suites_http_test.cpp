#include <boost/json.hpp>
#include <regex>
#include <vector>

#include "tests/support/api_fixture.hpp"
#include "tests/support/suites.hpp"

// Raw requests of gunicorn's and llhttp's tests, byte for byte.
namespace contactd::test {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::size_t connections_at_once = 32;

struct Case {
  std::string file;
  std::string expect;
  RawConnection connection;
};

void expect_healthy(std::uint16_t port) {
  HttpClient client{port};
  EXPECT_EQ(client.request("GET", "/healthz").status, 200U);
}

// The statuses of all responses in what came, interim ones left out.
std::vector<int> statuses_in(const std::string& bytes) {
  static const std::regex status_line{R"(HTTP/1\.[01] ([2-9]\d\d) )"};
  std::vector<int> statuses;
  for (std::sregex_iterator at{bytes.begin(), bytes.end(), status_line}, end; at != end; ++at) {
    statuses.push_back(std::stoi((*at)[1]));
  }
  return statuses;
}

// The server closes by itself, at the latest when nothing more comes: it must not hang.
void judge(Case& test) {
  SCOPED_TRACE(test.file + ", to " + test.expect);
  const RawConnection::Received received = test.connection.read_until_close();
  const std::vector<int> statuses = statuses_in(received.bytes);
  EXPECT_TRUE(received.closed) << received.bytes;
  for (const int status : statuses) EXPECT_NE(status, 500);
  const bool refused = statuses.empty() || statuses.back() >= 400;
  if (test.expect == "reject" || test.expect == "incomplete") {
    EXPECT_TRUE(refused) << received.bytes;
  }
  if (test.expect == "single_response") {
    EXPECT_LE(statuses.size(), 1U) << received.bytes;
  }
}

TEST(SuitesHttp, RawRequests) {
  const fs::path suite = find_suite("http_raw");
  CONTACTD_NEEDS_SUITE(suite);
  // Short, since many of these requests never end.
  ServerProcess server{
      {{"--header-timeout-ms", "300", "--request-timeout-ms", "300", "--idle-timeout-ms", "300"},
       {}}};
  const json::value manifest = json::parse(read_whole_file(suite / "manifest.json"));
  std::vector<Case> open;
  const auto judge_all = [&] {
    for (Case& test : open) judge(test);
    open.clear();
    expect_healthy(server.port());
  };
  for (const json::value& entry : manifest.as_array()) {
    const std::string file = json::value_to<std::string>(entry.at("file"));
    open.push_back(
        {file, json::value_to<std::string>(entry.at("expect")), RawConnection{server.port()}});
    open.back().connection.send(read_whole_file(suite / file));
    expect_healthy(server.port());
    if (open.size() == connections_at_once) judge_all();
  }
  judge_all();
  EXPECT_EQ(server.stop(), exited(0)) << server.log();
}

}  // namespace
}  // namespace contactd::test

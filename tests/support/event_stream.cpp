#include "tests/support/event_stream.hpp"

#include <algorithm>
#include <charconv>
#include <sstream>
#include <stdexcept>

namespace contactd::test {
namespace {

constexpr std::string_view end_of_line = "\r\n";

Response parse_head(const std::string& text) {
  Response head;
  std::istringstream lines{text};
  std::string line;
  std::getline(lines, line);
  if (!line.starts_with("HTTP/1.1 ")) throw std::runtime_error{"not an HTTP response: " + line};
  head.status = static_cast<unsigned>(std::stoul(line.substr(9, 3)));
  while (std::getline(lines, line) && line.size() > 1) {
    const std::size_t colon = line.find(':');
    head.headers.emplace_back(line.substr(0, colon),
                              line.substr(colon + 2, line.size() - colon - 3));
  }
  return head;
}

}  // namespace

void EventStreamParser::feed(std::string_view bytes) {
  wire_ += bytes;
  take_chunks();
}

void EventStreamParser::take_chunks() {
  std::size_t used = 0;
  while (!ended_) {
    const std::size_t line_end = wire_.find(end_of_line, used);
    if (line_end == std::string::npos) break;
    std::size_t size = 0;
    const char* const end = wire_.data() + line_end;
    const auto [stopped, ec] = std::from_chars(wire_.data() + used, end, size, 16);
    if (ec != std::errc{} || stopped != end) throw std::runtime_error{"not a chunk: " + wire_};
    const std::size_t begin = line_end + end_of_line.size();
    if (wire_.size() < begin + size + end_of_line.size()) break;
    text_.append(wire_, begin, size);
    used = begin + size + end_of_line.size();
    chunk_bytes_max_ = std::max(chunk_bytes_max_, size);
    ended_ = size == 0;
  }
  wire_.erase(0, used);
}

std::optional<StreamEvent> EventStreamParser::next() {
  for (std::size_t end = text_.find("\n\n"); end != std::string::npos; end = text_.find("\n\n")) {
    std::istringstream lines{text_.substr(0, end)};
    text_.erase(0, end + 2);
    StreamEvent event;
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with(':')) ++comments_;
      if (line.starts_with("id: ")) last_id_ = line.substr(4);
      if (line.starts_with("event: ")) event.type = line.substr(7);
      if (line.starts_with("data: ")) event.data = line.substr(6);
    }
    event.id = last_id_;
    if (!event.data.empty()) return event;
  }
  return std::nullopt;
}

EventStream::EventStream(std::uint16_t port, const std::string& key, const std::string& query,
                         const std::string& last_event_id)
    : connection_(port) {
  Headers headers = {{"X-API-KEY", key}, {"Accept", "text/event-stream"}};
  if (!last_event_id.empty()) headers.emplace_back("Last-Event-ID", last_event_id);
  const std::string target = "/api/v1/events" + (query.empty() ? "" : '?' + query);
  connection_.send(request_text("GET", target, headers, std::nullopt));
  const std::string came = connection_.read_until("\r\n\r\n");
  const std::size_t end = came.find("\r\n\r\n");
  if (end == std::string::npos) throw std::runtime_error{"no response's head, but: " + came};
  head_ = parse_head(came.substr(0, end + 2));
  const std::string rest = came.substr(end + 4);
  if (head_.media_type() == "text/event-stream" && !head_.header("Content-Length")) {
    parser_.feed(rest);
  } else {
    head_.body = rest;
  }
}

bool EventStream::read_more() {
  std::string bytes;
  const RawConnection::Read read = connection_.read_some(bytes);
  if (read == RawConnection::Read::timed_out) throw std::runtime_error{"no event in time"};
  parser_.feed(bytes);
  return read == RawConnection::Read::data;
}

std::optional<StreamEvent> EventStream::next() {
  for (;;) {
    if (auto event = parser_.next()) return event;
    if (!read_more()) return std::nullopt;
  }
}

void EventStream::wait_for_comment() {
  while (parser_.comments() == comments_seen_) {
    if (!read_more()) throw std::runtime_error{"the stream ended without a comment"};
    if (parser_.next()) throw std::runtime_error{"an event came instead of a comment"};
  }
  comments_seen_ = parser_.comments();
}

}  // namespace contactd::test

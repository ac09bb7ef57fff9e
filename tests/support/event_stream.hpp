#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tests/support/http_client.hpp"

namespace contactd::test {

// What came of a stream: an event, or why none did.
struct StreamEvent {
  std::string id;
  std::string type;
  std::string data;
};

// Takes Server-Sent Events (HTML standard, 9.2) out of the body of a response in chunks, however
// they are cut.
class EventStreamParser {
 public:
  // More of the body as it is on the wire.
  void feed(std::string_view bytes);
  // The next event that has data.
  std::optional<StreamEvent> next();

  const std::string& last_id() const { return last_id_; }
  std::size_t comments() const { return comments_; }
  std::size_t chunk_bytes_max() const { return chunk_bytes_max_; }  // of those that came
  bool ended() const { return ended_; }                             // the last chunk has come

 private:
  void take_chunks();

  std::string wire_;
  std::string text_;
  std::string last_id_;
  std::size_t comments_ = 0;
  std::size_t chunk_bytes_max_ = 0;
  bool ended_ = false;
};

// A client of GET /events with Accept: text/event-stream. Blocking; nothing waits past
// RawConnection's limit. Throws std::runtime_error where an event doesn't come in time.
class EventStream {
 public:
  // Sends the request and reads the response's head.
  EventStream(std::uint16_t port, const std::string& key, const std::string& query = {},
              const std::string& last_event_id = {});

  const Response& head() const { return head_; }
  // Nothing if the stream has ended.
  std::optional<StreamEvent> next();
  // Waits until a comment has come since the last call.
  void wait_for_comment();
  const std::string& last_id() const { return parser_.last_id(); }
  bool ended_cleanly() const { return parser_.ended(); }
  std::size_t chunk_bytes_max() const { return parser_.chunk_bytes_max(); }
  RawConnection& connection() { return connection_; }

 private:
  bool read_more();

  RawConnection connection_;
  Response head_;
  EventStreamParser parser_;
  std::size_t comments_seen_ = 0;
};

}  // namespace contactd::test

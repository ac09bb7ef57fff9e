#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "api/feed_session.hpp"
#include "api/lane.hpp"
#include "api/limits.hpp"
#include "api/problem.hpp"
#include "api/request_guard.hpp"
#include "api/router.hpp"
#include "infra/errors.hpp"
#include "infra/log.hpp"
#include "infra/random.hpp"

namespace contactd::api {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using Parser = http::request_parser<http::string_body>;
// Goes on with a coroutine that waits. A timer to be cancelled instead goes through the event loop.
using Resume = asio::async_result<asio::use_awaitable_t<Executor>, void()>::handler_type;

std::string_view text(beast::string_view view) { return {view.data(), view.size()}; }

std::string_view text(const asio::const_buffer& buffer) {
  return {static_cast<const char*>(buffer.data()), buffer.size()};
}

// The answer to a request that the parser gave up on; `seen` is what came of it.
Response parse_failure(error_code ec, std::string_view seen) {
  if (ec == http::error::header_limit) {
    if (seen.substr(0, limits::target_bytes_max).find("\r\n") == std::string_view::npos) {
      return protocol_error(414, "The request target is too long");
    }
    return protocol_error(431, "The header fields are too large; send less than " +
                                   std::to_string(limits::header_bytes_max) + " bytes");
  }
  if (ec == http::error::body_limit) {
    return protocol_error(413, "The body is too large; send at most " +
                                   std::to_string(limits::body_bytes_max) + " bytes");
  }
  if (ec == http::error::bad_version) {
    return protocol_error(505, "The HTTP versions spoken here are 1.1 and 1.0");
  }
  return protocol_error(400, "Malformed HTTP request: " + ec.message());
}

constexpr const char* request_id_field = "X-Request-Id";

// The value of a field in a header that the parser hasn't seen, and may never take; empty if there
// is none.
std::string_view raw_field(std::string_view header, std::string_view name) {
  for (std::size_t at = header.find("\r\n"); at != std::string_view::npos;
       at = header.find("\r\n", at + 2)) {
    std::string_view line = header.substr(at + 2);
    line = line.substr(0, line.find("\r\n"));
    if (line.size() <= name.size() || line[name.size()] != ':') continue;
    if (!equal_ignoring_case(line.substr(0, name.size()), name)) continue;
    line.remove_prefix(name.size() + 1);
    while (line.starts_with(' ') || line.starts_with('\t')) line.remove_prefix(1);
    while (line.ends_with(' ') || line.ends_with('\t')) line.remove_suffix(1);
    return line;
  }
  return {};
}

}  // namespace

// Reads a request, has it handled, writes the answer; over and over. All on the lane's thread.
class Session::Impl final : public FeedPeer {
 public:
  Impl(Socket socket, Lane& lane, std::string client_address)
      : lane_(lane), socket_(std::move(socket)), client_address_(std::move(client_address)) {
    error_code ignored;
    socket_.set_option(asio::ip::tcp::no_delay{true}, ignored);
    socket_.non_blocking(true, ignored);
  }

  Awaitable<void> run(Session& self) {
    self_ = &self;
    bool open = true;
    while (open) {
      parser_.emplace();
      parser_->header_limit(limits::header_bytes_max);
      parser_->body_limit(limits::body_bytes_max);
      parser_->eager(true);
      open = co_await read_request();
      if (open) open = co_await answer_request();
      feed_.reset();
    }
    error_code ignored;
    socket_.close(ignored);
  }

  Awaitable<void> refuse(Response response) {
    enter(Phase::writing, settings().request_timeout);
    co_await refuse_and_close(std::move(response));
    error_code ignored;
    socket_.close(ignored);
  }

  void check_deadline(SteadyTime now) {
    if (now < deadline_) return;
    if (phase_ == Phase::waiting) return resume();
    overdue_ = true;
    cancel();
  }
  void close_if_idle() {
    if (phase_ == Phase::idle) cancel();
    if (feed_) feed_->finish();
  }
  // The session may be gone when one of these returns: what it waited for has come.
  void cut() {
    error_code ignored;
    cut_ = true;
    socket_.close(ignored);
    wake();
    resume();
  }
  void deliver(infra::Outcome outcome) {
    outcome_ = std::move(outcome);
    resume();
  }
  void deliver(Response response) {
    slow_response_ = std::move(response);
    resume();
  }

 private:
  enum class Phase { idle, header, body, waiting, writing, lingering };

  const Server::Settings& settings() const { return lane_.state().settings; }

  void enter(Phase phase, std::chrono::milliseconds patience) {
    phase_ = phase;
    deadline_ = std::chrono::steady_clock::now() + patience;
  }
  void cancel() {
    error_code ignored;
    socket_.cancel(ignored);
  }

  // Reads until a request is whole. False if the connection is to be closed: it has ended, or the
  // refusal was sent.
  Awaitable<bool> read_request() {
    bool told_to_continue = false;
    overdue_ = false;
    if (buffer_.size() == 0) {
      enter(Phase::idle, settings().idle_timeout);
    } else {
      enter(Phase::header, settings().header_timeout);
    }
    for (;;) {
      if (auto refused = parse()) {
        co_await refuse_and_close(*std::move(refused));
        co_return false;
      }
      if (parser_->is_done()) co_return true;
      if (parser_->is_header_done() && !told_to_continue) {
        told_to_continue = true;
        enter(Phase::body, settings().request_timeout);
        if (parser_->get().find(http::field::expect) != parser_->get().end()) {
          out_ += "HTTP/1.1 100 Continue\r\n\r\n";
        }
      }
      if (!co_await flush()) co_return false;
      if (phase_ == Phase::idle && lane_.state().draining) co_return false;
      const auto [ec, count] =
          co_await socket_.async_read_some(buffer_.prepare(limits::read_bytes), await);
      if (ec) co_return co_await read_failed();
      buffer_.commit(count);
      if (phase_ == Phase::idle) enter(Phase::header, settings().header_timeout);
    }
  }

  // Gives the parser what has come. The refusal, if that can't become a request.
  std::optional<Response> parse() {
    while (buffer_.size() > 0 && !parser_->is_done()) {
      const bool in_header = !parser_->is_header_done();
      if (in_header && !skip_empty_lines()) return std::nullopt;
      // Beast gets a header only once it is whole and was looked at.
      if (in_header && !header_is_whole()) return refuse_unfinished_header();
      if (in_header) {
        if (auto refused = guard()) return refused;
      }
      error_code ec;
      const std::size_t used = parser_->put(buffer_.data(), ec);
      if (ec && ec != http::error::need_more) {
        return parse_failure(ec, text(buffer_.cdata()));
      }
      buffer_.consume(used);
      if (ec == http::error::need_more || used == 0) return std::nullopt;
    }
    return std::nullopt;
  }

  // RFC 9112, section 2.2: empty lines before a request line are passed over. False if nothing is
  // left.
  bool skip_empty_lines() {
    while (text(buffer_.cdata()).starts_with("\r\n")) buffer_.consume(2);
    const std::string_view rest = text(buffer_.cdata());
    return !rest.empty() && rest != "\r";
  }

  std::size_t header_end() const { return text(buffer_.cdata()).find("\r\n\r\n"); }
  bool header_is_whole() const {
    const std::size_t end = header_end();
    return end != std::string_view::npos && end + 4 <= limits::header_bytes_max;
  }

  // What can be said of a header before its end is here: it is too long, or never will be right.
  std::optional<Response> refuse_unfinished_header() const {
    const std::string_view seen = text(buffer_.cdata());
    if (seen.size() > limits::header_bytes_max) {
      return parse_failure(http::error::header_limit, seen);
    }
    if (!has_bare_newline(seen)) return std::nullopt;
    return protocol_error(400, "Malformed HTTP request; end each line with CRLF");
  }

  std::optional<Response> guard() const {
    const auto refused = guard_header(text(buffer_.cdata()).substr(0, header_end() + 4));
    if (!refused) return std::nullopt;
    return protocol_error(refused->status, refused->sentence);
  }

  Awaitable<bool> read_failed() {
    if (overdue_ && (phase_ == Phase::header || phase_ == Phase::body)) {
      co_await refuse_and_close(
          protocol_error(408, "The request didn't arrive in time; send it again"));
    }
    co_return false;
  }

  Request request() const {
    const auto& message = parser_->get();
    Request request;
    request.method = text(message.method_string());
    request.target = text(message.target());
    request.fields.reserve(16);
    for (const auto& field : message) {
      request.fields.emplace_back(text(field.name_string()), text(field.value()));
    }
    request.body = message.body();
    request.has_body = parser_->content_length().has_value() || parser_->chunked();
    request.client_address = client_address_;
    const auto id = request.field(request_id_field);
    request.request_id = id && good_request_id(*id) ? std::string{*id} : infra::new_request_id();
    return request;
  }

  // Handles the request that was read and writes the answer. Whether the connection stays open.
  Awaitable<bool> answer_request() {
    const auto started = std::chrono::steady_clock::now();
    const Request asked = request();
    Routed routed = route(lane_.state().services, asked);
    Response response;
    if (auto* ready = std::get_if<Response>(&routed.handled)) {
      response = std::move(*ready);
    } else if (auto* write = std::get_if<Write>(&routed.handled)) {
      response = co_await perform(*write, asked);
    } else if (auto* read = std::get_if<SlowRead>(&routed.handled)) {
      response = co_await perform(std::move(*read), error_format(asked), asked.request_id);
    } else {
      Feed feed = std::get<Feed>(std::move(routed.handled));
      co_return co_await follow(std::move(feed), asked, started);
    }
    co_return co_await send_answer(std::move(response), asked, routed.route, started);
  }

  // Whether the connection stays open.
  Awaitable<bool> send_answer(Response response, const Request& asked, std::string_view route_name,
                              SteadyTime started) {
    if (cut_) co_return false;
    response.head = asked.method == "HEAD";
    const bool keep = parser_->keep_alive() && !response.close && !lane_.state().draining;
    append_response(out_, response, parser_->get().version() == 10 ? 0 : 1, keep, lane_.date(),
                    asked.request_id);
    lane_.count(asked.method, route_name, response.status,
                std::chrono::steady_clock::now() - started);
    if (keep && buffer_.size() > 0 && out_.size() < limits::pipelined_answer_bytes_max) {
      co_return true;  // the next request is here already: its answer may go along
    }
    if (!co_await flush()) co_return false;
    if (keep) co_return true;
    co_await linger();
    co_return false;
  }

  Awaitable<Response> perform(Write& write, const Request& asked) {
    if (!co_await flush()) {
      cut_ = true;
      co_return Response{};
    }
    const std::uint64_t token = lane_.expect(*self_);
    write.submission.sink = &lane_;
    write.submission.token = token;
    outcome_.reset();
    if (const auto refusal = write.writer->submit(std::move(write.submission))) {
      lane_.forget(token);
      co_return write.refuse(*refusal);
    }
    lane_.wake_soon(*write.writer);
    co_await wait_for_delivery(token);
    if (!outcome_) co_return unknown_outcome(error_format(asked));
    co_return write.render(*outcome_);
  }

  Awaitable<Response> perform(SlowRead read, ErrorFormat asked_format, std::string request_id) {
    if (!co_await flush()) {
      cut_ = true;
      co_return Response{};
    }
    ServerState& state = lane_.state();
    if (state.slow_reads_waiting >= limits::slow_reads_waiting_max) {
      co_return overloaded(asked_format, "Too many reads are waiting; try again");
    }
    const std::uint64_t token = lane_.expect(*self_);
    slow_response_.reset();
    ++state.slow_reads_waiting;
    asio::post(state.slow_reads, [run = std::move(read.run), format = asked_format, token,
                                  lane = &lane_, id = std::move(request_id)] {
      Response response = run_guarded(run, format, id);
      --lane->state().slow_reads_waiting;
      lane->deliver(token, std::move(response));
    });
    co_await wait_for_delivery(token);
    if (!slow_response_) {
      co_return overloaded(asked_format, "The read took too long; ask for less at once");
    }
    co_return *std::move(slow_response_);
  }

  // Answers with a feed's events: as JSON, or by a stream that ends with the connection.
  Awaitable<bool> follow(Feed asked_for, const Request& asked, SteadyTime started) {
    FeedSession& feed = feed_.emplace(lane_, *this, std::move(asked_for), error_format(asked));
    feed_timer_.emplace(lane_.executor());
    format_ = error_format(asked);
    request_id_ = asked.request_id;
    if (buffer_.size() == 0) buffer_ = beast::flat_buffer{};  // it may be long until it is needed
    if (feed.streams()) watch_for_close();
    if (lane_.state().draining) feed.finish();
    Response response = co_await feed.answer();
    if (gone_) co_return false;
    if (!response.streamed || asked.method == "HEAD") {
      co_return co_await send_answer(std::move(response), asked, "events", started);
    }
    const int minor_version = parser_->get().version() == 10 ? 0 : 1;
    append_response(out_, response, minor_version, false, lane_.date(), asked.request_id);
    lane_.count(asked.method, "events", response.status,
                std::chrono::steady_clock::now() - started);
    parser_.reset();  // and with it what `asked` has of the request
    buffer_ = beast::flat_buffer{};
    error_code ignored;
    socket_.set_option(asio::socket_base::send_buffer_size{limits::feed_send_buffer_bytes},
                       ignored);
    co_await feed.stream(minor_version == 1);
    co_return false;
  }

  // Learns, while nothing is read, that the client has gone. What it sends meanwhile stays where it
  // is; after that only sending tells.
  void watch_for_close() {
    socket_.async_wait(Socket::wait_read, [this, here = std::weak_ptr{here_}](error_code failed) {
      if (failed || here.expired() || !feed_) return;
      char byte = 0;
      error_code ec;
      socket_.receive(asio::buffer(&byte, 1), Socket::message_peek, ec);
      if (!ec || ec == asio::error::would_block) return;
      gone_ = true;
      wake();
    });
  }

  // FeedPeer.
  Awaitable<bool> send(std::string bytes, std::chrono::milliseconds patience) override {
    out_ += bytes;
    const bool sent = co_await flush(patience);
    if (out_.capacity() > limits::feed_chunk_bytes_max) out_ = std::string{};
    co_return sent;
  }
  Awaitable<Response> read(SlowRead read) override {
    // Many come back at once after a restart: they wait their turn, since clients of streams take a
    // refusal for the end.
    while (lane_.state().slow_reads_waiting >= limits::slow_reads_waiting_max && !gone()) {
      co_await sleep_until(std::chrono::steady_clock::now() + limits::feed_read_pause);
    }
    co_return co_await perform(std::move(read), format_, request_id_);
  }
  Awaitable<void> sleep_until(SteadyTime time) override {
    phase_ = Phase::waiting;
    deadline_ = SteadyTime::max();
    sleeping_ = true;
    feed_timer_->expires_at(time);
    co_await feed_timer_->async_wait(await);
    sleeping_ = false;
  }
  void wake() override {
    if (sleeping_) feed_timer_->cancel();
  }
  void stop_sending() override {
    if (phase_ == Phase::writing) cancel();
  }
  bool gone() const override { return gone_ || cut_; }

  // Returns once something was delivered, the wait is over, or the session was cut.
  Awaitable<void> wait_for_delivery(std::uint64_t token) {
    enter(Phase::waiting, limits::outcome_wait_max);
    constexpr asio::use_awaitable_t<Executor> here{};
    co_await asio::async_initiate<decltype(here), void()>(
        [this](Resume resume) { resume_.emplace(std::move(resume)); }, here);
    lane_.forget(token);
  }
  void resume() {
    if (!resume_) return;
    Resume resume = *std::exchange(resume_, std::nullopt);
    std::move(resume)();
  }

  // Sends what is to be sent. False if the client doesn't take it.
  Awaitable<bool> flush() { return flush(settings().request_timeout); }
  Awaitable<bool> flush(std::chrono::milliseconds patience) {
    if (out_.empty()) co_return true;
    error_code ec;
    // Most answers fit into the socket's buffer: no detour through the event loop for those.
    const std::size_t sent = socket_.write_some(asio::buffer(out_), ec);
    if (ec && ec != asio::error::would_block) co_return false;
    if (!ec && sent == out_.size()) {
      out_.clear();
      co_return true;
    }
    const Phase before = phase_;
    enter(Phase::writing, patience);
    const auto rest = asio::buffer(out_) + (ec ? 0 : sent);
    const auto [failed, count] = co_await asio::async_write(socket_, rest, await);
    out_.clear();
    if (failed) co_return false;
    if (before == Phase::idle) {
      enter(Phase::idle, settings().idle_timeout);
    } else {
      enter(before, settings().request_timeout);
    }
    co_return true;
  }

  // The id that the client has given the request, as far as its header has come; else a new one.
  std::string refused_request_id() const {
    std::string_view id;
    if (parser_ && parser_->is_header_done()) {
      const auto found = parser_->get().find(request_id_field);
      if (found != parser_->get().end()) id = text(found->value());
    } else {
      id = raw_field(text(buffer_.cdata()), request_id_field);
    }
    return good_request_id(id) ? std::string{id} : infra::new_request_id();
  }

  Awaitable<void> refuse_and_close(Response response) {
    overdue_ = false;
    append_response(out_, response, 1, false, lane_.date(), refused_request_id());
    lane_.count("OTHER", "none", response.status, {});
    // Not `if (co_await ...) co_await ...`: GCC 12 compiles that into a trap.
    const bool sent = co_await flush();
    if (!sent) co_return;
    co_await linger();
  }

  // Closes the way out and reads what still comes, so that the client gets the answer and not a
  // reset (RFC 9112, section 9.6).
  Awaitable<void> linger() {
    error_code ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
    enter(Phase::lingering, limits::linger_max);
    std::size_t left = limits::linger_bytes_max;
    while (left > 0) {
      buffer_.clear();
      const auto [ec, count] =
          co_await socket_.async_read_some(buffer_.prepare(limits::read_bytes), await);
      if (ec) co_return;
      left -= std::min(left, count);
    }
  }

  Lane& lane_;
  Session* self_ = nullptr;
  Socket socket_;
  std::optional<Resume> resume_;  // while it waits for a delivery
  const std::string client_address_;
  beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  std::string out_;
  std::optional<infra::Outcome> outcome_;
  std::optional<Response> slow_response_;
  Phase phase_ = Phase::idle;
  SteadyTime deadline_ = SteadyTime::max();
  bool overdue_ = false;  // the deadline has passed; it was the lane that cancelled
  // Of a feed that is being answered.
  std::optional<FeedSession> feed_;
  ErrorFormat format_ = ErrorFormat::plain;
  std::string request_id_;
  std::optional<Timer> feed_timer_;
  bool sleeping_ = false;  // in sleep_until()
  bool gone_ = false;      // the client has closed, or half closed, the connection
  const std::shared_ptr<int> here_ = std::make_shared<int>(0);  // for what may outlive the session
  bool cut_ = false;  // nothing more can be sent: the drain's time was over, or sending failed
};

Session::Session(Socket socket, Lane& lane, std::string client_address)
    : impl_(std::make_unique<Impl>(std::move(socket), lane, std::move(client_address))) {}
Session::~Session() = default;
Awaitable<void> Session::run() { return impl_->run(*this); }
void Session::check_deadline(SteadyTime now) { impl_->check_deadline(now); }
void Session::close_if_idle() { impl_->close_if_idle(); }
void Session::cut() { impl_->cut(); }
void Session::deliver(infra::Outcome outcome) { impl_->deliver(std::move(outcome)); }
void Session::deliver(Response response) { impl_->deliver(std::move(response)); }
Awaitable<void> Session::refuse(Response response) { return impl_->refuse(std::move(response)); }

}  // namespace contactd::api

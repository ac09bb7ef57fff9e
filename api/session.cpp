#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

#include "api/feed_session.hpp"
#include "api/lane.hpp"
#include "api/limits.hpp"
#include "api/problem.hpp"
#include "api/request_reader.hpp"
#include "api/router.hpp"
#include "api/tls.hpp"
#include "infra/errors.hpp"
#include "infra/log.hpp"
#include "infra/random.hpp"

namespace contactd::api {
namespace {

using boost::system::error_code;
// Goes on with a coroutine that waits. A timer to be cancelled instead goes through the event loop.
using Resume = asio::async_result<asio::use_awaitable_t<Executor>, void()>::handler_type;

// When what began at `start` is to be whole, if so much of it has come: never after `patience`,
// sooner where it comes too slowly.
SteadyTime receive_deadline(SteadyTime start, std::size_t bytes,
                            std::chrono::milliseconds patience) {
  const std::chrono::milliseconds earned{bytes * 1000 / limits::receive_bytes_a_second_min};
  return start + std::min(patience, limits::receive_grace + earned);
}

}  // namespace

// Reads a request, has it handled, writes the answer; over and over. All on the lane's thread.
class Session::Impl final : public FeedPeer {
 public:
  Impl(Socket socket, Lane& lane, std::string client_network)
      : lane_(lane), socket_(std::move(socket)), client_network_(std::move(client_network)) {
    error_code ignored;
    socket_.set_option(asio::ip::tcp::no_delay{true}, ignored);
    socket_.non_blocking(true, ignored);
    if (settings().tls != nullptr) {
      tls_context_ = settings().tls->current();
      tls_.emplace(socket_, *tls_context_);
    }
  }

  Awaitable<void> run(Session& self) {
    self_ = &self;
    bool open = co_await shake_hands();
    while (open) {
      reader_.next();
      open = co_await read_request();
      if (open) open = co_await answer_request();
      feed_.reset();
    }
    error_code ignored;
    socket_.close(ignored);
  }

  Awaitable<void> refuse(ProtocolRefusal refusal) {
    const bool open = co_await shake_hands();
    enter(Phase::writing, settings().request_timeout);
    if (open) co_await refuse_and_close(std::move(refusal));
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
    if (phase_ == Phase::idle || phase_ == Phase::handshake) cancel();
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
  enum class Phase { handshake, idle, header, body, waiting, writing, lingering };

  const Server::Settings& settings() const { return lane_.state().settings; }

  void enter(Phase phase, std::chrono::milliseconds patience) {
    phase_ = phase;
    deadline_ = std::chrono::steady_clock::now() + patience;
  }
  // As enter(), for what a client sends: it may not come too slowly either.
  void begin_receiving(Phase phase, std::chrono::milliseconds patience) {
    phase_ = phase;
    receiving_since_ = std::chrono::steady_clock::now();
    patience_ = patience;
    received_bytes_ = 0;
    deadline_ = receive_deadline(receiving_since_, 0, patience);
  }
  void note_received(std::size_t count) {
    if (phase_ == Phase::idle) return begin_receiving(Phase::header, settings().header_timeout);
    received_bytes_ += count;
    deadline_ = receive_deadline(receiving_since_, received_bytes_, patience_);
  }
  void cancel() {
    error_code ignored;
    socket_.cancel(ignored);
  }

  // Of a connection with TLS. False if that came to nothing.
  Awaitable<bool> shake_hands() {
    if (!tls_) co_return true;
    enter(Phase::handshake, settings().header_timeout);
    const auto [ec] = co_await tls_->async_handshake(asio::ssl::stream_base::server, await);
    if (ec) lane_.state().services.metrics.tls_handshakes_failed.Increment();
    co_return !ec;
  }

  // Reads until a request is whole. False if the connection is to be closed: it has ended, or the
  // refusal was sent.
  Awaitable<bool> read_request() {
    bool told_to_continue = false;
    overdue_ = false;
    if (reader_.has_bytes()) {
      begin_receiving(Phase::header, settings().header_timeout);
    } else {
      // Who has asked for nothing yet has a reason to be there, or hasn't.
      const bool fresh = !std::exchange(greeted_, true);
      enter(Phase::idle, fresh ? std::min(settings().idle_timeout, settings().header_timeout)
                               : settings().idle_timeout);
    }
    for (;;) {
      if (auto refused = reader_.parse()) {
        co_await refuse_and_close(*std::move(refused));
        co_return false;
      }
      if (reader_.is_done()) co_return true;
      if (reader_.header_is_done() && !told_to_continue) {
        told_to_continue = true;
        begin_receiving(Phase::body, settings().request_timeout);
        if (reader_.expects_continue()) out_ += "HTTP/1.1 100 Continue\r\n\r\n";
      }
      if (!co_await flush()) co_return false;
      if (phase_ == Phase::idle && lane_.state().draining) co_return false;
      std::tuple<error_code, std::size_t> got;
      const auto space = reader_.prepare(limits::read_bytes);
      if (tls_) {
        got = co_await tls_->async_read_some(space, await);
      } else {
        got = co_await socket_.async_read_some(space, await);
      }
      const auto [ec, count] = got;
      if (ec) co_return co_await read_failed();
      reader_.commit(count);
      note_received(count);
    }
  }

  Awaitable<bool> read_failed() {
    if (overdue_ && (phase_ == Phase::header || phase_ == Phase::body)) {
      ProtocolRefusal late{408, "The request didn't arrive in time; send it again"};
      co_await refuse_and_close(std::move(late));
    }
    co_return false;
  }

  // Handles the request that was read and writes the answer. Whether the connection stays open.
  Awaitable<bool> answer_request() {
    const auto started = std::chrono::steady_clock::now();
    const Request asked = reader_.take_request(client_network_);
    Routed routed = route(lane_.state().services, asked);
    told_ = std::move(routed.told);
    Response response;
    if (auto* ready = std::get_if<Response>(&routed.handled)) {
      response = std::move(*ready);
    } else if (auto* write = std::get_if<Write>(&routed.handled)) {
      response = co_await perform(*write);
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
    tell_with(response);
    const bool keep = reader_.keep_alive() && !response.close && !lane_.state().draining;
    lane_.note(asked, route_name, response.status, started);
    hold_ = std::move(response.hold);
    body_ = append_response(out_, std::move(response), reader_.minor_version(), keep, lane_.date(),
                            asked.request_id, tls_.has_value());
    const bool short_yet = body_.empty() && out_.size() < limits::pipelined_answer_bytes_max;
    if (keep && reader_.has_bytes() && short_yet) {
      co_return true;  // the next request is here already: its answer may go along
    }
    if (!co_await flush()) co_return false;
    if (keep) co_return true;
    co_await linger();
    co_return false;
  }

  void tell_with(Response& response) {
    for (auto& [name, value] : std::exchange(told_, {})) response.with(name, std::move(value));
  }

  Awaitable<Response> perform(Write& write) {
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
    if (!outcome_) outcome_ = infra::Outcome{infra::OutcomeUnknown{}};
    co_return write.render(*outcome_);
  }

  Awaitable<Response> perform(SlowRead read, ErrorFormat asked_format, std::string request_id) {
    if (!co_await flush()) {
      cut_ = true;
      co_return Response{};
    }
    const auto asker = std::make_shared<const int>();
    const std::uint64_t token = lane_.expect(*self_);
    slow_response_.reset();
    const bool taken = lane_.state().slow_reads.submit(
        read.organization, asker,
        [read, format = asked_format, token, lane = &lane_, id = std::move(request_id)] {
          lane->deliver(token, lane->state().held_answers.admit(run_guarded(read.run, format, id),
                                                                read.organization, format));
        });
    if (!taken) {
      lane_.forget(token);
      co_return overloaded(asked_format, "Too many reads are waiting; try again");
    }
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
    woken_ = false;
    format_ = error_format(asked);
    request_id_ = asked.request_id;
    if (!reader_.has_bytes()) reader_.discard();  // it may be long until the memory is needed
    if (feed.stays()) watch_for_close();
    if (lane_.state().draining) feed.finish();
    Response response = co_await feed.answer();
    if (gone_) co_return false;
    if (!response.streamed || asked.method == "HEAD") {
      co_return co_await send_answer(std::move(response), asked, "events", started);
    }
    const int minor_version = reader_.minor_version();
    tell_with(response);
    lane_.note(asked, "events", response.status, started);
    body_ = append_response(out_, std::move(response), minor_version, false, lane_.date(),
                            asked.request_id, tls_.has_value());
    reader_.forget();  // and with it what `asked` has of the request
    error_code ignored;
    socket_.set_option(asio::socket_base::send_buffer_size{limits::feed_send_buffer_bytes},
                       ignored);
    co_await feed.stream(minor_version == 1);
    co_return false;
  }

  // Learns, while nothing is read, that the client has gone. What it sends meanwhile stays where it
  // is; after that only sending tells. Over TLS nothing is left for a client to send but its end.
  // One that waits for a page may have closed its way out alone: it is answered with what there is.
  void watch_for_close() {
    socket_.async_wait(Socket::wait_read, [this, here = std::weak_ptr{here_}](error_code failed) {
      if (failed || here.expired() || !feed_) return;
      char byte = 0;
      error_code ec;
      socket_.receive(asio::buffer(&byte, 1), Socket::message_peek, ec);
      const bool more = !ec && !(tls_ && feed_->streams());
      if (more || ec == asio::error::would_block) return;
      if (ec == asio::error::eof && !feed_->streams()) return feed_->finish();
      gone_ = true;
      wake();
    });
  }

  // FeedPeer.
  Awaitable<bool> send(std::string bytes, std::chrono::milliseconds patience) override {
    body_ = std::move(bytes);
    const bool sent = co_await flush(patience);
    out_ = std::string{};  // the next one may be long in coming
    co_return sent;
  }
  Awaitable<Response> read(SlowRead read) override {
    // Many come back at once after a restart: streams wait their turn, since their clients take a
    // refusal for the end.
    while (feed_->streams() && !gone() && !lane_.state().draining &&
           lane_.state().slow_reads.is_full(read.organization)) {
      co_await sleep_until(std::chrono::steady_clock::now() + limits::feed_read_pause);
    }
    co_return co_await perform(std::move(read), format_, request_id_);
  }
  Awaitable<void> sleep_until(SteadyTime time) override {
    // It may have been while a read was under way that has not seen what it was for.
    if (std::exchange(woken_, false)) co_return;
    phase_ = Phase::waiting;
    deadline_ = SteadyTime::max();
    sleeping_ = true;
    feed_timer_->expires_at(time);
    co_await feed_timer_->async_wait(await);
    sleeping_ = false;
  }
  void wake() override {
    if (sleeping_) {
      feed_timer_->cancel();
    } else {
      woken_ = true;
    }
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
    const std::size_t whole = out_.size() + body_.size();
    if (whole == 0) co_return true;
    std::size_t sent = 0;
    if (!tls_) {
      // Most answers fit into the socket's buffer: no detour through the event loop for those.
      error_code ec;
      sent = socket_.write_some(unsent(0), ec);
      if (ec && ec != asio::error::would_block) co_return false;
      if (ec) sent = 0;
    }
    bool taken = true;
    if (sent < whole) taken = co_await flush_rest(sent, patience);
    out_.clear();
    body_ = std::string{};  // not clear(): it may be large
    hold_.reset();
    co_return taken;
  }

  // What is left once so much was sent.
  std::array<asio::const_buffer, 2> unsent(std::size_t sent) const {
    std::array rest{asio::const_buffer{asio::buffer(out_)},
                    asio::const_buffer{asio::buffer(body_)}};
    rest[0] += sent;  // to its end at most
    rest[1] += sent - std::min(sent, out_.size());
    return rest;
  }

  Awaitable<bool> flush_rest(std::size_t sent, std::chrono::milliseconds patience) {
    const Phase before = phase_;
    enter(Phase::writing, patience);
    const auto rest = unsent(sent);
    std::tuple<error_code, std::size_t> written;
    if (tls_) {
      written = co_await asio::async_write(*tls_, rest, await);
    } else {
      written = co_await asio::async_write(socket_, rest, await);
    }
    if (std::get<0>(written)) co_return false;
    if (before == Phase::idle) {
      enter(Phase::idle, settings().idle_timeout);
    } else if (before == Phase::header) {
      begin_receiving(Phase::header, settings().header_timeout);
    } else if (before == Phase::body) {
      begin_receiving(Phase::body, settings().request_timeout);
    } else {
      enter(before, settings().request_timeout);
    }
    co_return true;
  }

  Awaitable<void> refuse_and_close(ProtocolRefusal refusal) {
    overdue_ = false;
    Response response = protocol_error(reader_.refused_format(), refusal);
    const std::string request_id = reader_.refused_request_id();
    lane_.note({"OTHER", {}, "none", response.status, request_id, {}});
    body_ = append_response(out_, std::move(response), 1, false, lane_.date(), request_id,
                            tls_.has_value());
    // Not `if (co_await ...) co_await ...`: GCC 12 compiles that into a trap.
    const bool sent = co_await flush();
    if (!sent) co_return;
    co_await linger();
  }

  // Closes the way out and reads what still comes, so that the client gets the answer and not a
  // reset (RFC 9112, section 9.6).
  Awaitable<void> linger() {
    error_code ignored;
    enter(Phase::lingering, limits::linger_max);
    if (tls_) {
      const auto [ec] = co_await tls_->async_shutdown(await);
      if (ec && overdue_) co_return;
    }
    socket_.shutdown(Socket::shutdown_send, ignored);
    std::size_t left = limits::linger_bytes_max;
    while (left > 0) {
      reader_.discard();
      const auto space = reader_.prepare(limits::read_bytes);
      const auto [ec, count] = co_await socket_.async_read_some(space, await);
      if (ec) co_return;
      left -= std::min(left, count);
    }
  }

  Lane& lane_;
  Session* self_ = nullptr;
  Socket socket_;
  std::shared_ptr<asio::ssl::context> tls_context_;  // outlives tls_
  std::optional<asio::ssl::stream<Socket&>> tls_;    // on socket_, where the server has TLS
  std::optional<Resume> resume_;                     // while it waits for a delivery
  const std::string client_network_;
  RequestReader reader_;
  std::string out_;         // what is to be sent
  std::string body_;        // and what after it, without having been copied there
  HeldAnswers::Hold hold_;  // of body_
  std::optional<infra::Outcome> outcome_;
  std::optional<Response> slow_response_;
  Phase phase_ = Phase::idle;
  SteadyTime deadline_ = SteadyTime::max();
  SteadyTime receiving_since_;
  std::chrono::milliseconds patience_{};
  std::size_t received_bytes_ = 0;
  bool greeted_ = false;  // a first request was waited for
  bool overdue_ = false;  // the deadline has passed; it was the lane that cancelled
  // Of a feed that is being answered.
  std::optional<FeedSession> feed_;
  ErrorFormat format_ = ErrorFormat::plain;
  std::string request_id_;
  std::optional<Timer> feed_timer_;
  Fields told_;            // with the answer to the request that is handled
  bool sleeping_ = false;  // in sleep_until()
  bool woken_ = false;     // while it wasn't
  bool gone_ = false;      // the client has closed the connection, or of a stream its half
  const std::shared_ptr<int> here_ = std::make_shared<int>(0);  // for what may outlive the session
  bool cut_ = false;  // nothing more can be sent: the drain's time was over, or sending failed
};

Session::Session(Socket socket, Lane& lane, std::string client_network)
    : impl_(std::make_unique<Impl>(std::move(socket), lane, std::move(client_network))) {}
Session::~Session() = default;
Awaitable<void> Session::run() { return impl_->run(*this); }
void Session::check_deadline(SteadyTime now) { impl_->check_deadline(now); }
void Session::close_if_idle() { impl_->close_if_idle(); }
void Session::cut() { impl_->cut(); }
void Session::deliver(infra::Outcome outcome) { impl_->deliver(std::move(outcome)); }
void Session::deliver(Response response) { impl_->deliver(std::move(response)); }
Awaitable<void> Session::refuse(ProtocolRefusal refusal) {
  return impl_->refuse(std::move(refusal));
}

}  // namespace contactd::api

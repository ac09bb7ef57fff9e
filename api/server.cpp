#include "api/server.hpp"

#include <pthread.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <ctime>
#include <future>

#include "api/client_network.hpp"
#include "api/lane.hpp"
#include "api/limits.hpp"
#include "api/problem.hpp"
#include "infra/log.hpp"

namespace contactd::api {

using asio::ip::tcp;
using boost::system::error_code;

namespace {

const prometheus::Histogram::BucketBoundaries request_seconds = {
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5};

// The methods that get a label of their own; a client can't make up more.
std::string_view method_label(std::string_view method) {
  for (const std::string_view known : {"PATCH", "GET", "POST", "DELETE", "HEAD", "OPTIONS"}) {
    if (method == known) return known;
  }
  return "OTHER";
}

// The target without its query, and without what stands in the place of an id and can't be one: it
// may be anything, such as an email address or a key.
std::string loggable_path(std::string_view target) {
  constexpr std::size_t shown_max = 40;  // what is shorter than a key, and longer than an id
  constexpr std::string_view shown =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
  target = target.substr(0, target.find('?'));
  std::string path;
  while (target.starts_with('/')) {
    target.remove_prefix(1);
    const std::string_view segment = target.substr(0, target.find('/'));
    target.remove_prefix(segment.size());
    const bool plain =
        segment.size() <= shown_max && segment.find_first_not_of(shown) == std::string_view::npos;
    path += '/';
    path += plain ? segment : "...";
  }
  return path.empty() ? "-" : path;
}

void log_failure(const std::exception_ptr& failure) {
  if (!failure) return;
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& problem) {
    spdlog::error("a connection ended by an exception: {}", problem.what());
  }
}

}  // namespace

Lane::Lane(ServerState& state) : state_(state), feeds_(state.services, io_) {}

void Lane::start() {
  asio::co_spawn(io_, watch_deadlines(), asio::detached);
  thread_ = std::thread{[this] {
    pthread_setname_np(pthread_self(), "lane");  // for top, perf and gdb
    io_.run();
  }};
}

void Lane::join() {
  if (thread_.joinable()) thread_.join();
}

void Lane::add(Session& session) { session.place = sessions_.insert(sessions_.end(), &session); }

void Lane::remove(Session& session) { sessions_.erase(session.place); }

void Lane::close_sessions(bool all) {
  for (auto at = sessions_.begin(); at != sessions_.end();) {
    Session& session = **at++;
    if (all) {
      session.cut();
    } else {
      session.close_if_idle();
    }
  }
}

std::uint64_t Lane::expect(Session& session) {
  waiting_.emplace(next_token_, &session);
  return next_token_++;
}

void Lane::wake_soon(infra::Writer& writer) {
  const auto waking = std::find_if(to_wake_.begin(), to_wake_.end(),
                                   [&](const ToWake& one) { return one.writer == &writer; });
  if (waking != to_wake_.end()) {
    if (++waking->commands % limits::commands_before_wake_max == 0) writer.wake();
    return;
  }
  to_wake_.push_back({&writer, 1});
  if (to_wake_.size() > 1) return;
  asio::post(io_, [this] {
    for (const ToWake& one : to_wake_) one.writer->wake();
    to_wake_.clear();
  });
}

void Lane::deliver(std::vector<infra::Reply> replies) {
  asio::post(io_, [this, replies = std::move(replies)]() mutable {
    for (infra::Reply& reply : replies) {
      const auto waiting = waiting_.find(reply.token);
      if (waiting != waiting_.end()) waiting->second->deliver(std::move(reply.outcome));
    }
  });
}

void Lane::deliver(std::uint64_t token, Response response) {
  asio::post(io_, [this, token, response = std::move(response)]() mutable {
    const auto waiting = waiting_.find(token);
    if (waiting != waiting_.end()) waiting->second->deliver(std::move(response));
  });
}

const std::string& Lane::date() {
  const std::time_t now = std::time(nullptr);
  if (now != date_second_) {
    date_second_ = now;
    std::tm parts{};
    gmtime_r(&now, &parts);
    char buffer[40];
    date_.assign(buffer, std::strftime(buffer, sizeof buffer, "%a, %d %b %Y %H:%M:%S GMT", &parts));
  }
  return date_;
}

void Lane::note(const Answered& answered) {
  const auto& [method, target, route, status, request_id, took] = answered;
  infra::Metrics& metrics = state_.services.metrics;
  const std::string_view label = method_label(method);
  if (spdlog::should_log(spdlog::level::debug)) {
    spdlog::debug("request {}: {} {}: {} after {} us", request_id, label, loggable_path(target),
                  status, std::chrono::duration_cast<std::chrono::microseconds>(took).count());
  }
  prometheus::Counter*& counter = counters_[{label, route, status}];
  if (counter == nullptr) {
    counter = &metrics.http_requests.Add({{"method", std::string{label}},
                                          {"route", std::string{route}},
                                          {"status", std::to_string(status)}});
  }
  counter->Increment();
  prometheus::Histogram*& histogram = histograms_[route];
  if (histogram == nullptr) {
    histogram = &metrics.http_seconds.Add({{"route", std::string{route}}}, request_seconds);
  }
  histogram->Observe(std::chrono::duration<double>(took).count());
}

Awaitable<void> Lane::watch_deadlines() {
  Timer timer{io_};
  SteadyTime next_sweep{};
  for (;;) {
    timer.expires_after(limits::deadline_check_interval);
    co_await timer.async_wait(await);
    const auto now = std::chrono::steady_clock::now();
    for (auto at = sessions_.begin(); at != sessions_.end();) (*at++)->check_deadline(now);
    if (now < next_sweep) continue;
    next_sweep = now + limits::feed_sweep_interval;
    feeds_.sweep();
  }
}

// How many connections each client has; counts nothing unless there is a limit.
class AddressCounts {
 public:
  explicit AddressCounts(bool enabled) : enabled_(enabled) {}

  bool enabled() const { return enabled_; }
  std::size_t add(const asio::ip::address& address) {
    if (!enabled_) return 0;
    const std::lock_guard lock{mutex_};
    return ++counts_[address];
  }
  void remove(const asio::ip::address& address) {
    if (!enabled_) return;
    const std::lock_guard lock{mutex_};
    const auto found = counts_.find(address);
    if (--found->second == 0) counts_.erase(found);
  }

 private:
  const bool enabled_;
  std::mutex mutex_;
  std::map<asio::ip::address, std::size_t> counts_;  // guarded by mutex_; of open connections
};

class Server::Impl {
 public:
  Impl(const Settings& settings, const Services& services)
      : settings_(settings),
        slow_reads_({limits::slow_read_threads, limits::slow_reads_waiting_max,
                     limits::slow_reads_waiting_of_one_max}),
        state_(settings_, services, slow_reads_),
        addresses_(settings_.connections_per_address_max > 0) {
    for (unsigned i = 0; i < settings_.lanes; ++i) {
      lanes_.push_back(std::make_unique<Lane>(state_));
    }
    acceptor_.emplace(lanes_.front()->executor());
    listen();
  }

  void start() {
    for (const auto& lane : lanes_) lane->start();
    asio::co_spawn(lanes_.front()->io(), accept_all(), asio::detached);
  }

  std::string url() const {
    const bool v6 = settings_.host.find(':') != std::string::npos;
    const std::string_view scheme = settings_.tls == nullptr ? "http://" : "https://";
    return std::string{scheme} + (v6 ? '[' + settings_.host + ']' : settings_.host) + ':' +
           std::to_string(port_);
  }

  bool drain(std::chrono::milliseconds patience) {
    state_.draining = true;
    on_first_lane([this] {
      error_code ignored;
      acceptor_->close(ignored);
    });
    close_sessions(false);
    const bool finished = wait_until_gone(patience, true);
    if (!finished) {
      close_sessions(true);
      wait_until_gone(limits::abort_max, false);
    }
    return finished;
  }

  void hurry() {
    const std::lock_guard lock{state_.gone_mutex};
    hurried_ = true;
    state_.gone.notify_all();
  }

  void stop() {
    slow_reads_.stop();
    for (const auto& lane : lanes_) lane->stop();
    for (const auto& lane : lanes_) lane->join();
  }

 private:
  void listen() {
    error_code ec;
    tcp::resolver resolver{lanes_.front()->io()};
    const auto found = resolver.resolve(settings_.host, std::to_string(settings_.port), ec);
    if (ec || found.empty()) fail("resolve", ec);
    const tcp::endpoint endpoint = found.begin()->endpoint();
    acceptor_->open(endpoint.protocol(), ec);
    if (!ec) acceptor_->set_option(asio::socket_base::reuse_address{true}, ec);
    if (!ec) acceptor_->bind(endpoint, ec);
    if (!ec) acceptor_->listen(asio::socket_base::max_listen_connections, ec);
    if (ec) fail("listen at", ec);
    port_ = acceptor_->local_endpoint().port();
  }

  [[noreturn]] void fail(std::string_view what, const error_code& ec) const {
    throw std::runtime_error("can't " + std::string{what} + " " + settings_.host + ":" +
                             std::to_string(settings_.port) + ": " + ec.message() +
                             "; give another address with --listen");
  }

  Awaitable<void> accept_all() {
    Timer pause{lanes_.front()->executor()};
    for (std::size_t next = 0;; ++next) {
      Lane& lane = *lanes_[next % lanes_.size()];
      Socket socket{lane.executor()};
      const auto [ec] = co_await acceptor_->async_accept(socket, await);
      if (!acceptor_->is_open()) co_return;
      if (ec) {
        spdlog::warn("can't accept a connection: {}; trying again", ec.message());
        pause.expires_after(limits::accept_retry_pause);
        co_await pause.async_wait(await);
        continue;
      }
      take(lane, std::move(socket));
    }
  }

  void take(Lane& lane, Socket socket) {
    error_code ec;
    const auto client = client_network(socket.remote_endpoint(ec).address());
    if (ec) return;  // gone already
    const std::size_t open = ++state_.connections;
    const std::size_t from_there = addresses_.add(client);
    const bool limited = addresses_.enabled();
    const std::size_t there_max = settings_.connections_per_address_max;
    const bool welcome = open <= settings_.connections_max && (!limited || from_there <= there_max);
    // Of those that are too many, a few are told so.
    if (open > settings_.connections_max + limits::refused_connections_max ||
        (limited && from_there > there_max + limits::refused_connections_an_address_max)) {
      leave(client);
      return;
    }
    asio::co_spawn(lane.io(), serve(std::move(socket), lane, client.to_string(), welcome),
                   [this, client](auto failure) {
                     log_failure(failure);
                     leave(client);
                   });
  }

  // Static: the frame holds all that it needs, and the lane outlives it.
  static Awaitable<void> serve(Socket socket, Lane& lane, std::string client, bool welcome) {
    infra::Metrics& metrics = lane.state().services.metrics;
    Session session{std::move(socket), lane, std::move(client)};
    struct Registration {
      Lane& lane;
      Session& session;
      prometheus::Gauge& gauge;
      ~Registration() {
        lane.remove(session);
        gauge.Decrement();
      }
    };
    lane.add(session);
    metrics.http_connections.Increment();
    const Registration registration{lane, session, metrics.http_connections};
    if (welcome) {
      co_await session.run();
    } else {
      metrics.http_connections_refused.Increment();
      ProtocolRefusal crowded{503, "Too many connections are open; close some, or try again"};
      co_await session.refuse(std::move(crowded));
    }
  }

  void leave(const asio::ip::address& client) {
    addresses_.remove(client);
    if (--state_.connections > 0) return;
    const std::lock_guard lock{state_.gone_mutex};
    state_.gone.notify_all();
  }

  bool wait_until_gone(std::chrono::milliseconds patience, bool may_be_hurried) {
    std::unique_lock lock{state_.gone_mutex};
    state_.gone.wait_for(lock, patience, [this, may_be_hurried] {
      return state_.connections == 0 || (may_be_hurried && hurried_);
    });
    return state_.connections == 0;
  }

  void close_sessions(bool all) {
    for (const auto& lane : lanes_) {
      asio::post(lane->io(), [&lane = *lane, all] { lane.close_sessions(all); });
    }
  }

  template <class Work>
  void on_first_lane(Work work) {
    std::promise<void> done;
    asio::post(lanes_.front()->io(), [&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }

  const Settings settings_;
  SlowReads slow_reads_;
  ServerState state_;
  AddressCounts addresses_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::optional<asio::basic_socket_acceptor<tcp, Executor>> acceptor_;
  std::uint16_t port_ = 0;
  bool hurried_ = false;  // guarded by state_.gone_mutex
};

Server::Server(const Settings& settings, const Services& services)
    : impl_(std::make_unique<Impl>(settings, services)) {}
Server::~Server() = default;
void Server::start() { impl_->start(); }
std::string Server::url() const { return impl_->url(); }
bool Server::drain(std::chrono::milliseconds patience) { return impl_->drain(patience); }
void Server::hurry() { impl_->hurry(); }
void Server::stop() { impl_->stop(); }

}  // namespace contactd::api

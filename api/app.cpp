#include "api/app.hpp"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <set>
#include <thread>

#include "api/admin_key.hpp"
#include "api/data_dir.hpp"
#include "api/key_file.hpp"
#include "api/process_guard.hpp"
#include "api/server.hpp"
#include "api/tls.hpp"
#include "api/webhooks.hpp"
#include "infra/backup.hpp"
#include "infra/directory_lock.hpp"
#include "infra/embedded_event_log.hpp"
#include "infra/errors.hpp"
#include "infra/kafka_event_log.hpp"
#include "infra/kafka_membership.hpp"
#include "infra/log.hpp"
#include "infra/log_audit.hpp"
#include "infra/log_identity.hpp"
#include "infra/projections_dir.hpp"
#include "infra/rebuild.hpp"
#include "infra/stoppable_wait.hpp"

namespace contactd::api {
namespace {

constexpr std::size_t instance_id_length = 22;
// A commit takes a broker some milliseconds: the next batch is decided meanwhile.
constexpr std::size_t kafka_batches_in_flight_max = 2;
// No more than a transaction takes. One client alone never waits for it, but for its first request
// after others'.
constexpr std::chrono::milliseconds kafka_gather_wait_max{4};
constexpr std::chrono::milliseconds log_retry_pause{1'000};
// How often it is looked whether a signal came; at first also whether all partitions serve, to
// print the ready line.
constexpr timespec signal_check_interval{0, 20'000'000};

// Blocks SIGTERM and SIGINT, and SIGHUP if it is to be taken, in this and every later thread, to be
// taken here alone.
class Signals {
 public:
  explicit Signals(bool with_hangup) {
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set_);
    sigaddset(&set_, SIGTERM);
    sigaddset(&set_, SIGINT);
    if (with_hangup) sigaddset(&set_, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  }
  int wait() const {
    int taken = 0;
    sigwait(&set_, &taken);
    return taken;
  }
  // Nothing if none came within the interval.
  std::optional<int> wait_for(const timespec& interval) const {
    const int taken = sigtimedwait(&set_, nullptr, &interval);
    return taken > 0 ? std::optional{taken} : std::nullopt;
  }

 private:
  sigset_t set_{};
};

std::unique_ptr<TlsCredentials> open_tls(const ServeConfig& config) {
  if (config.tls_certificate.empty() && config.tls_key.empty()) return nullptr;
  return std::make_unique<TlsCredentials>(config.tls_certificate, config.tls_key);
}

// Everything that serves, in the order of what needs what; destroyed in the opposite one.
class App {
 public:
  explicit App(const ServeConfig& config)
      : config_(config),
        tls_(open_tls(config)),
        log_(open_log()),
        projections_(open_projections(config)),
        store_(std::make_unique<infra::SwappableReadStore>(std::move(projections_.store))),
        authenticator_(*store_, admin_key(config), infra::system_time),
        rate_limiter_(config.rate_limit, config.rate_window),
        feed_followers_(config.feed_followers_of_key_max, config.feed_followers_max),
        webhooks_(open_webhooks()),
        services_{.store = *store_,
                  .partitions = partitions_,
                  .metrics = metrics_,
                  .authenticator = authenticator_,
                  .rate_limiter = rate_limiter_,
                  .operations = operations_,
                  .feed_hub = feed_hub_,
                  .feed_followers = feed_followers_,
                  .clock = infra::system_time,
                  .webhooks = webhook_services(),
                  .read_only = config.read_only},
        server_(settings(config, tls_.get()), services_) {
    show_certificate();
    prepare_operations();
  }
  // Where it wasn't shut down: no writer may have an answer for what goes before it does.
  ~App() {
    opening_ = {};
    stop_operations();
    if (webhooks_) webhooks_->stop();
    for (const auto& writer : partitions_.all()) writer->stop();
  }
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  void start() {
    if (config_.read_only) {
      warn_of_unread_log(config_.data_dir, *store_);
      partitions_.open_for_reading(partitions_folded());
      server_.start();
      return;
    }
    if (config_.log == "kafka") {
      metrics_.kafka_up.Add({}).Set(0);
      partitions_.set_awaited("waiting for a Kafka broker at " + config_.kafka.bootstrap);
      server_.start();
      spdlog::info("listening on {}; waiting for a Kafka broker at {}", server_.url(),
                   config_.kafka.bootstrap);
      opening_ = std::jthread{[this](const std::stop_token& stop) { start_on_kafka(stop); }};
      return;
    }
    require_own_projections();
    start_partitions();
    server_.start();
    for (const auto& writer : partitions_.all()) writer->take();
  }
  // For connections from now on; what can't be used changes nothing.
  void reload_tls() {
    if (tls_ == nullptr) {
      spdlog::info("there is no TLS certificate to be read again");
      return;
    }
    try {
      tls_->reload();
      spdlog::info("the TLS certificate was read again");
    } catch (const infra::Unavailable& problem) {
      spdlog::error("{}; the certificate read before stays in use", problem.what());
    }
    show_certificate();
  }
  // Throws why the log can't be used, if that has turned out.
  bool ready() {
    if (open_failed_) {
      opening_.join();
      std::rethrow_exception(open_failure_);
    }
    if (config_.log == "embedded") require_log_that_folds();
    return partitions_.caught_up();
  }
  // To be called once it is ready.
  void warm_up() { store_->warm_up(); }
  std::string url() const { return server_.url(); }

  // A second signal cuts the drain short.
  void shut_down(const Signals& signals) {
    {
      std::atomic<bool> hurried{false};
      const std::jthread impatience{[&](const std::stop_token& over) {
        while (!over.stop_requested()) {
          const auto taken = signals.wait_for(signal_check_interval);
          if (!taken || taken == SIGHUP) continue;  // no connection begins any more
          hurried = true;
          return server_.hurry();
        }
      }};
      const bool drained = server_.drain(config_.drain_timeout);
      if (!drained && hurried) {
        spdlog::warn("a second signal came: requests under way were cut");
      } else if (!drained) {
        spdlog::warn("some requests didn't finish within the drain's {} ms and were cut",
                     config_.drain_timeout.count());
      }
    }
    stop_operations();
    opening_ = {};  // stops it, and waits for that
    if (webhooks_) webhooks_->stop();
    // The drain has answered all that was queued: the others may have the partitions at once.
    if (membership_) membership_->leave();
    for (const auto& writer : partitions_.all()) writer->stop();
    server_.stop();
    store_->flush();
  }

 private:
  static Server::Settings settings(const ServeConfig& config, const TlsCredentials* tls) {
    // One core is the writer's: with a lane on every core, each slows the other down.
    const unsigned cores = std::max(2U, std::thread::hardware_concurrency());
    return {.host = config.host,
            .port = config.port,
            .lanes = config.io_threads == 0 ? cores - 1 : config.io_threads,
            .connections_max = config.connections_max,
            .header_timeout = config.header_timeout,
            .request_timeout = config.request_timeout,
            .idle_timeout = config.idle_timeout,
            .feed_heartbeat = config.feed_heartbeat,
            .feed_stall = config.feed_stall,
            .connections_per_address_max = config.connections_per_address_max,
            .tls = tls};
  }

  // Nothing where none is read, or a topic, which has to be waited for.
  std::unique_ptr<infra::EventLog> open_log() {
    if (config_.read_only || config_.log == "kafka") return nullptr;
    auto log = open_embedded_log(config_.data_dir);
    embedded_ = log.get();
    log_identity_ = infra::embedded_log_identity;
    return log;
  }

  // What is only shown may lie where nothing can be written, and others may show it too.
  std::unique_ptr<Webhooks> open_webhooks() {
    if (config_.read_only) return nullptr;
    return std::make_unique<Webhooks>(config_, *store_, feed_hub_, metrics_);
  }
  std::optional<WebhookServices> webhook_services() const {
    if (!webhooks_) return std::nullopt;
    return webhooks_->services();
  }

  // Each partition has a claim, and so a checkpoint, as soon as somebody serves it.
  std::uint32_t partitions_folded() const {
    std::uint32_t count = 1;
    while (store_->checkpoint(count).next_offset > 0) ++count;
    return count;
  }

  void show_certificate() {
    if (tls_ == nullptr) return;
    metrics_.tls_certificate_ends.Set(static_cast<double>(tls_->ends_at().unix_ms) / 1000);
  }

  // A log of this process alone, and no reads as long as it isn't folded: nobody is served by
  // going on.
  void require_log_that_folds() const {
    for (const auto& writer : partitions_.all()) {
      const auto status = writer->status();
      if (status.state == infra::Writer::Status::State::stopped && !writer->caught_up()) {
        throw infra::Unavailable(status.detail);
      }
    }
  }

  void start_partitions() {
    partitions_.open(make_writers());
    for (const auto& writer : partitions_.all()) writer->start();
    webhooks_->start(partitions_);
  }

  // On a thread of its own: brokers may be away for long, and /readyz is to say so meanwhile.
  void start_on_kafka(const std::stop_token& stop) {
    pthread_setname_np(pthread_self(), "opening");
    try {
      auto log = open_kafka(stop);
      if (!log) return;
      log_identity_ = log->identity();
      require_same_log(config_.data_dir, log_identity_);
      log_ = std::move(log);
      if (!wait_for_own_projections(stop)) return;
      start_partitions();
      // Who is in the group is given partitions that others serve: not before it can serve them.
      // What a writer has left in an open transaction ends with the next claim.
      if (!partitions_.wait_until_nearly_folded(stop)) return;
      infra::KafkaConfig config = config_.kafka;
      config.instance_id = read_or_make_key(config_.data_dir / "instance.id", "the instance's id",
                                            instance_id_length);
      membership_ = infra::join_kafka_group(
          config, metrics_,
          {.assigned = [this](const auto& ours) { assign(ours); },
           .revoked = [this](bool lost) { give_up_all(lost); },
           .counted = [this](bool alone) { alone_ = alone; },
           .out_of_touch = [this] { doubt_all(); },
           .failing = [this](const std::string& why) { partitions_.set_awaited(why); }});
      partitions_.watch(*membership_);
    } catch (...) {
      open_failure_ = std::current_exception();
      open_failed_ = true;
    }
  }
  // False if told to stop.
  bool wait_for_own_projections(const std::stop_token& stop) {
    infra::RepeatedFailure failing;
    while (!stop.stop_requested()) {
      try {
        require_own_projections();
        return true;
      } catch (const infra::LogUnavailable& problem) {
        if (failing.is_news(problem.what())) spdlog::error("{}; trying again", problem.what());
        partitions_.set_awaited(problem.what());
        infra::wait_for(stop, log_retry_pause);
      }
    }
    return false;
  }
  // Nothing, if told to stop.
  std::unique_ptr<infra::KafkaEventLog> open_kafka(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      try {
        return infra::open_kafka_event_log(config_.kafka, metrics_, stop);
      } catch (const infra::LogAway& problem) {
        if (stop.stop_requested()) return nullptr;
        spdlog::error("{}; trying again", problem.what());
        partitions_.set_awaited(problem.what());
      }
    }
    return nullptr;
  }

  void prepare_operations() {
    operations_.has_backup = [this](const std::string& name) {
      return std::filesystem::exists(config_.backup_dir / name);
    };
    operations_.start_backup = [this](const std::string& name) {
      return operations_.backup.start(name, "bytes", [this, name](auto progress, auto stop) {
        return infra::create_backup(*store_, embedded_, log_->partition_count(), log_identity_,
                                    config_.data_dir, config_.backup_dir / name, progress, stop);
      });
    };
    operations_.start_rebuild = [this] {
      return operations_.rebuild.start("projections", "records", [this](auto progress, auto stop) {
        return rebuild(progress, stop);
      });
    };
  }
  void stop_operations() {
    operations_.rebuild.stop();
    operations_.backup.stop();
  }
  bool rebuild(const Maintenance::Progress& progress, const std::stop_token& stop) {
    std::vector<infra::Writer*> writers;
    for (const auto& writer : partitions_.all()) writers.push_back(writer.get());
    // The embedded log may be read by several at once; of Kafka each has a consumer of its own.
    infra::Metrics unseen;
    std::unique_ptr<infra::EventLog> kafka;
    if (embedded_ == nullptr) {
      infra::KafkaConfig config = config_.kafka;
      config.create_topic = false;  // it was there
      kafka = infra::open_kafka_event_log(config, unseen, stop);
    }
    infra::LogReader& log = embedded_ == nullptr ? *kafka : *embedded_;
    return infra::rebuild_projections(log, writers, *store_, config_.data_dir, progress, stop);
  }

  void require_own_projections() {
    if (const auto unproven = projections_.unproven; !unproven.empty()) {
      hold_proven_projections(config_.data_dir, unproven, *log_,
                              "the Kafka topic " + config_.kafka.topic);
      projections_.unproven.clear();
    }
    for (std::uint32_t id = 0; id < log_->partition_count(); ++id) {
      if (infra::leads_to(*log_, id, store_->checkpoint(id))) continue;
      const std::string log =
          config_.log == "kafka"
              ? "the Kafka topic " + config_.kafka.topic + ", partition " + std::to_string(id)
              : "the log in " + (config_.data_dir / "log").string();
      throw infra::Unavailable(foreign_projections(config_.data_dir, log));
    }
  }

  // These are called by the group's thread.
  void assign(const std::set<std::uint32_t>& ours) {
    partitions_.set_awaited({});
    const auto is_ours = [&](std::uint32_t id) { return ours.contains(id); };
    const bool all = ours.size() >= log_->partition_count();
    if (std::exchange(lost_partitions_, false) && !(all && alone_)) doubt_all();
    alone_ = false;  // until the group has been counted
    give_up(infra::Ownership::elsewhere, is_ours);
    for (const std::uint32_t id : ours) {
      if (id < log_->partition_count()) {
        partitions_.all()[id]->take();
      } else {  // no organization is in it, so nothing is lost by leaving it alone
        spdlog::error(
            "partition {} was added to the topic, which has events: it isn't used, and "
            "the next start will be refused",
            id);
      }
    }
  }
  // A broker that is away takes all of them from one that is alone, whose reads go on. Where there
  // are others, one of them may have what was lost, and may have written it.
  void give_up_all(bool lost) {
    lost_partitions_ = lost_partitions_ || lost;
    if (lost && !alone_) doubt_all();
    give_up(infra::Ownership::unknown, [](std::uint32_t) { return false; });
  }
  void doubt_all() {
    for (const auto& writer : partitions_.all()) writer->doubt();
  }
  // All at once: each may take as long as an append, and the group waits for the last.
  template <class Except>
  void give_up(infra::Ownership now, Except except) {
    std::vector<std::jthread> waiting;
    for (std::uint32_t id = 0; id < log_->partition_count(); ++id) {
      if (except(id)) continue;
      waiting.emplace_back([&writer = *partitions_.all()[id], now] { writer.give_up(now); });
    }
  }

  std::vector<std::unique_ptr<infra::Writer>> make_writers() {
    infra::Writer::Limits limits;
    if (config_.log == "kafka") {
      limits.batches_in_flight_max = kafka_batches_in_flight_max;
      limits.gather_wait_max = kafka_gather_wait_max;
    }
    limits.queue_commands_max = config_.queue_commands_max;
    std::vector<std::unique_ptr<infra::Writer>> writers;
    writers.reserve(log_->partition_count());
    for (std::uint32_t partition = 0; partition < log_->partition_count(); ++partition) {
      writers.push_back(std::make_unique<infra::Writer>(partition, limits, *log_, *store_, metrics_,
                                                        infra::system_time, &feed_hub_));
    }
    return writers;
  }

  const ServeConfig config_;
  const std::unique_ptr<TlsCredentials> tls_;  // null: in the clear
  infra::Metrics metrics_;
  std::string log_identity_;
  infra::EmbeddedEventLog* embedded_ = nullptr;  // log_, if it is that
  std::unique_ptr<infra::EventLog> log_;         // none until it is open
  OpenedProjections projections_;                // whose store is the next one
  std::unique_ptr<infra::SwappableReadStore> store_;
  infra::FeedHub feed_hub_;
  Partitions partitions_;
  std::unique_ptr<infra::KafkaMembership> membership_;
  // Touched by the group's thread only.
  bool alone_ = true;             // nobody else was in the group when it was last counted
  bool lost_partitions_ = false;  // since then
  Authenticator authenticator_;
  RateLimiter rate_limiter_;
  Operations operations_;
  FeedFollowers feed_followers_;
  const std::unique_ptr<Webhooks> webhooks_;  // null: read-only
  Services services_;
  Server server_;

  // Constant once open_failed_ is true.
  std::exception_ptr open_failure_;
  std::atomic<bool> open_failed_{false};
  std::jthread opening_;  // last: it touches all of the above
};

void run(const ServeConfig& config, const Signals& signals) {
  App app{config};
  app.start();
  bool stopping = false;
  try {
    while (!app.ready() && !stopping) {
      const auto taken = signals.wait_for(signal_check_interval);
      if (taken == SIGHUP) app.reload_tls();
      stopping = taken && taken != SIGHUP;
    }
  } catch (...) {
    app.shut_down(signals);
    throw;
  }
  if (!stopping) {
    std::printf("contactd ready %s\n", app.url().c_str());
    std::fflush(stdout);
    app.warm_up();
    while (signals.wait() == SIGHUP) app.reload_tls();
  }
  spdlog::info("stopping");
  app.shut_down(signals);
}

}  // namespace

int serve(const ServeConfig& config) {
  if (!config.core_dumps) forbid_core_dumps();
  infra::configure_log(config.log_level, config.log_format);
  // A terminal that is closed ends what runs in it.
  const Signals signals{!config.tls_certificate.empty() || isatty(STDIN_FILENO) == 0};
  try {
    find_or_create_data_dir(config);
    std::optional<infra::WriteLock> lock;  // also while the projections are settled at the end
    if (!config.read_only) lock.emplace(config.data_dir);
    run(config, signals);
    if (!config.read_only) infra::settle_projections_dir(config.data_dir);
    return 0;
  } catch (const std::exception& problem) {
    spdlog::critical("{}", problem.what());
    return 1;
  }
}

}  // namespace contactd::api

#include "api/app.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <set>
#include <thread>

#include "api/server.hpp"
#include "infra/embedded_event_log.hpp"
#include "infra/errors.hpp"
#include "infra/kafka_event_log.hpp"
#include "infra/kafka_membership.hpp"
#include "infra/log.hpp"
#include "infra/log_audit.hpp"
#include "infra/random.hpp"

namespace contactd::api {
namespace {

constexpr std::size_t admin_key_length = 43;
constexpr auto embedded_identity = "embedded";
// A commit takes a broker some milliseconds: the next batch is decided meanwhile.
constexpr std::size_t kafka_batches_in_flight_max = 2;
// How often it is looked whether all partitions serve, to print the ready line, or a signal came.
constexpr timespec ready_check_interval{0, 20'000'000};

// Blocks SIGTERM and SIGINT in this and every later thread, to be taken by wait() alone.
class Signals {
 public:
  Signals() {
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set_);
    sigaddset(&set_, SIGTERM);
    sigaddset(&set_, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  }
  void wait() const {
    int taken = 0;
    sigwait(&set_, &taken);
  }
  // Whether one came within the interval.
  bool came_within(const timespec& interval) const {
    return sigtimedwait(&set_, nullptr, &interval) > 0;
  }

 private:
  sigset_t set_{};
};

// Each connection is a descriptor, and the usual limit is far below what may be.
void allow_many_descriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    spdlog::warn("can't raise the limit of open files: {}", std::strerror(errno));
  }
}

std::string make_admin_key(const std::filesystem::path& file) {
  const std::string key = infra::random_text(admin_key_length);
  const int descriptor = open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  const std::string line = key + '\n';
  const bool written =
      descriptor >= 0 &&
      write(descriptor, line.data(), line.size()) == static_cast<ssize_t>(line.size()) &&
      fsync(descriptor) == 0;
  if (descriptor >= 0) close(descriptor);
  if (!written) {
    throw infra::Unavailable("can't write the admin key to " + file.string() + ": " +
                             std::strerror(errno));
  }
  return key;
}

std::string admin_key(const ServeConfig& config) {
  if (!config.admin_key.empty()) return config.admin_key;
  const std::filesystem::path file = config.data_dir / "admin.key";
  if (!std::filesystem::exists(file)) return make_admin_key(file);
  std::ifstream stream{file};
  std::string key;
  if (!std::getline(stream, key) || key.empty()) {
    throw infra::Unavailable("can't read the admin key from " + file.string() +
                             "; remove the file to have a new one made");
  }
  return key;
}

void create_data_dir(const std::filesystem::path& directory) {
  std::error_code ec;
  std::filesystem::create_directories(directory, ec);
  if (ec) {
    throw infra::Unavailable("can't create the data directory " + directory.string() + ": " +
                             ec.message());
  }
}

// The projections are of one log. What they are of is in a file beside them; without one they are
// of an earlier release, which knew the embedded log only.
void require_same_log(const std::filesystem::path& data_dir, const std::string& identity) {
  const std::filesystem::path file = data_dir / "projections.log";
  const std::filesystem::path projections = data_dir / "projections";
  std::string known;
  if (std::ifstream stream{file}; !std::getline(stream, known)) known = embedded_identity;
  if (known != identity && std::filesystem::exists(projections)) {
    throw infra::Unavailable("the projections in " + projections.string() +
                             " are of another log (" + known + ") than the one given (" + identity +
                             "); give that log, or another --data-dir, or remove the directory: "
                             "it is then made anew from the log");
  }
  if (known == identity) return;
  std::ofstream stream{file};
  stream << identity << '\n';
  if (!stream.flush()) throw infra::Unavailable("can't write " + file.string());
}

// Everything that serves, in the order of what needs what; destroyed in the opposite one.
class App {
 public:
  explicit App(const ServeConfig& config)
      : config_(config),
        log_((create_data_dir(config.data_dir), open_log())),
        store_(infra::open_read_store(config.data_dir / "projections")),
        partitions_((require_own_projections(), make_writers())),
        authenticator_(*store_, admin_key(config)),
        rate_limiter_(config.rate_limit, config.rate_window),
        feed_followers_(config.feed_followers_of_key_max, config.feed_followers_max),
        services_{*store_,       partitions_, metrics_,        authenticator_,
                  rate_limiter_, feed_hub_,   feed_followers_, infra::system_time},
        server_(settings(config), services_) {}

  void start() {
    server_.start();
    for (const auto& writer : partitions_.all()) writer->start();
    if (config_.log == "kafka") {
      membership_ = infra::join_kafka_group(
          config_.kafka, metrics_,
          {[this](const auto& ours) { assign(ours); }, [this] { give_up_all(); }});
    } else {
      for (const auto& writer : partitions_.all()) writer->take();
    }
  }
  bool ready() const { return partitions_.caught_up(); }
  std::string url() const { return server_.url(); }

  void shut_down() {
    if (!server_.drain(config_.drain_timeout)) {
      spdlog::warn("some requests didn't finish within the drain's {} ms and were cut",
                   config_.drain_timeout.count());
    }
    // The drain has answered all that was queued: the others may have the partitions at once.
    if (membership_) membership_->leave();
    for (const auto& writer : partitions_.all()) writer->stop();
    server_.stop();
    store_->flush();
  }

 private:
  static Server::Settings settings(const ServeConfig& config) {
    // One core is the writer's: with a lane on every core, each slows the other down.
    const unsigned cores = std::max(2U, std::thread::hardware_concurrency());
    return {config.host,
            config.port,
            config.io_threads == 0 ? cores - 1 : config.io_threads,
            config.connections_max,
            config.header_timeout,
            config.request_timeout,
            config.idle_timeout,
            config.feed_heartbeat,
            config.feed_stall};
  }

  std::unique_ptr<infra::EventLog> open_log() {
    std::string identity = embedded_identity;
    std::unique_ptr<infra::EventLog> log;
    if (config_.log == "kafka") {
      auto kafka = infra::open_kafka_event_log(config_.kafka, metrics_);
      identity = kafka->identity();
      log = std::move(kafka);
    } else {
      log = infra::open_embedded_event_log(config_.data_dir / "log");
    }
    require_same_log(config_.data_dir, identity);
    return log;
  }

  // Of another embedded log, which no name tells apart. A topic's has one (require_same_log).
  void require_own_projections() {
    if (config_.log == "kafka" || infra::leads_to(*log_, 0, store_->checkpoint(0))) return;
    throw infra::Unavailable(
        "the projections in " + (config_.data_dir / "projections").string() +
        " aren't of the log in " + (config_.data_dir / "log").string() +
        ", or one of the two was changed since: bring back from a backup what was there; or, if "
        "the "
        "log is right, remove the projections' directory: it is then made anew from the log");
  }

  // Both are called by the group's thread.
  void assign(const std::set<std::uint32_t>& ours) {
    const auto is_ours = [&](std::uint32_t id) { return ours.contains(id); };
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
  void give_up_all() {
    give_up(infra::Ownership::unknown, [](std::uint32_t) { return false; });
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
    if (config_.log == "kafka") limits.batches_in_flight_max = kafka_batches_in_flight_max;
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
  infra::Metrics metrics_;
  std::unique_ptr<infra::EventLog> log_;
  std::unique_ptr<infra::ReadStore> store_;
  infra::FeedHub feed_hub_;
  Partitions partitions_;
  Authenticator authenticator_;
  RateLimiter rate_limiter_;
  FeedFollowers feed_followers_;
  Services services_;
  Server server_;
  std::unique_ptr<infra::KafkaMembership> membership_;
};

}  // namespace

int serve(const ServeConfig& config) {
  infra::configure_log(config.log_level, config.log_format);
  const Signals signals;
  allow_many_descriptors();
  try {
    App app{config};
    app.start();
    bool stopping = false;
    while (!app.ready() && !stopping) stopping = signals.came_within(ready_check_interval);
    if (!stopping) {
      std::printf("contactd ready %s\n", app.url().c_str());
      std::fflush(stdout);
      signals.wait();
    }
    spdlog::info("stopping");
    app.shut_down();
    return 0;
  } catch (const std::exception& problem) {
    spdlog::critical("{}", problem.what());
    return 1;
  }
}

}  // namespace contactd::api

#include "api/maintenance.hpp"

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

#include "domain/ascii.hpp"
#include "domain/json_text.hpp"
#include "infra/clock.hpp"
#include "infra/log.hpp"

namespace contactd::api {
namespace {

constexpr int maintenance_nice = 10;

std::string_view name_of(Maintenance::State state) {
  switch (state) {
    case Maintenance::State::idle:
      return "idle";
    case Maintenance::State::running:
      return "running";
    case Maintenance::State::done:
      return "done";
    case Maintenance::State::failed:
      return "failed";
  }
  std::abort();
}

}  // namespace

bool Maintenance::start(std::string name, std::string unit, Work work) {
  const std::lock_guard lock{mutex_};
  if (status_.state == State::running || stopped_) return false;
  if (thread_.joinable()) thread_.join();  // it has ended but for its return
  thread_ = std::jthread{[this, work = std::move(work)](const std::stop_token& stop) {
    pthread_setname_np(pthread_self(), "maintenance");  // for top, perf and gdb
    // Requests go first. Of this thread alone; without the right to, it stays as it is.
    setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), maintenance_nice);
    run(work, stop);
  }};
  // Not before there is a thread, which waits for the lock to say how far it is.
  status_ = {State::running,       std::move(name), std::move(unit), 0, 0, {},
             infra::system_time(), std::nullopt};
  return true;
}

void Maintenance::run(const Work& work, const std::stop_token& stop) {
  std::string error;
  bool done = false;
  try {
    done = work(
        [this](std::uint64_t at, std::uint64_t total) {
          const std::lock_guard lock{mutex_};
          status_.done = at;
          status_.total = total;
        },
        stop);
    if (done) spdlog::info("maintenance: {} was done", status().name);
    if (!done) error = "the server was stopped meanwhile";
  } catch (const std::exception& problem) {
    error = problem.what();
    spdlog::error("maintenance: {}", error);
  }
  const std::lock_guard lock{mutex_};
  status_.state = done ? State::done : State::failed;
  status_.error = std::move(error);
  status_.ended_at = infra::system_time();
}

Maintenance::Status Maintenance::status() const {
  const std::lock_guard lock{mutex_};
  return status_;
}

void Maintenance::stop() {
  {
    const std::lock_guard lock{mutex_};
    stopped_ = true;
  }
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
}

std::string to_json(const Maintenance::Status& status) {
  std::string json = R"({"state":")";
  json += name_of(status.state);
  json += R"(","name":)";
  json += status.name.empty() ? "null" : domain::json_string(status.name);
  json += R"(,"done":)" + std::to_string(status.done) + R"(,"total":)" +
          std::to_string(status.total) + R"(,"unit":)";
  json += status.unit.empty() ? "null" : domain::json_string(status.unit);
  json += R"(,"started_at":)" + domain::json_time(status.started_at) + R"(,"ended_at":)" +
          domain::json_time(status.ended_at) + R"(,"error":)";
  json += status.error.empty() ? "null" : domain::json_string(status.error);
  return json + '}';
}

bool is_backup_name(const std::string& name) {
  constexpr std::size_t length_max = 64;
  return !name.empty() && name.size() <= length_max && domain::is_alphanumeric(name.front()) &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return domain::is_alphanumeric(c) || c == '_' || c == '-' || c == '.';
         });
}

}  // namespace contactd::api

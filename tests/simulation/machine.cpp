#include "tests/simulation/machine.hpp"

#include <cstdlib>

#include "infra/errors.hpp"
#include "infra/log.hpp"
#include "infra/projector.hpp"
#include "tests/support/eventually.hpp"

namespace contactd::test {
namespace {

using State = infra::Writer::Status::State;

// Where the disk has names; nothing is there on the real one.
const std::filesystem::path log_path = std::filesystem::temp_directory_path() / "contactd-sim-log";
const std::filesystem::path store_path =
    std::filesystem::temp_directory_path() / "contactd-sim-projections";
constexpr std::size_t machines_at_a_time = 12;
constexpr std::size_t at_once_max = 6;
// Some fill several blocks of a write-ahead log, which are 32 KiB.
constexpr std::size_t large_once_in = 12;
constexpr std::size_t large_bytes_max = 150'000;
constexpr std::int64_t clock_step_ms_max = 2000;
// Time for two or three attempts to claim.
constexpr std::chrono::milliseconds recovery_wait_max{400};
constexpr std::chrono::milliseconds whole_disk_wait_max{30'000};
// What was promised of a full disk.
constexpr std::chrono::milliseconds full_disk_wait_max{10'000};

std::string request_of(std::uint64_t token) { return "r" + std::to_string(token); }

domain::IdempotencyStamp stamp_of(std::uint64_t token) {
  domain::IdempotencyStamp stamp;
  for (std::size_t i = 0; i < sizeof token; ++i) {
    stamp.key[i] = static_cast<std::uint8_t>(token >> (8 * i));
  }
  return stamp;
}

}  // namespace

std::uint64_t count_from_environment(const char* variable, std::uint64_t quick) {
  const char* const given = std::getenv(variable);
  return given != nullptr ? std::strtoull(given, nullptr, 10) : quick;
}

void run_some_at_a_time(std::uint64_t count, const std::function<void(std::uint64_t)>& run) {
  // Made before there are threads: the thread sanitizer doesn't see the library make it once.
  static_cast<void>(spdlog::default_logger_raw());
  std::atomic<std::uint64_t> next = 0;
  std::vector<std::jthread> threads;
  threads.reserve(machines_at_a_time);
  for (std::size_t i = 0; i < machines_at_a_time; ++i) {
    threads.emplace_back([&] {
      for (std::uint64_t number = next++; number < count; number = next++) run(number);
    });
  }
}

bool is_answer(const infra::Outcome& outcome) {
  return !std::holds_alternative<infra::NotTaken>(outcome.answer) &&
         !std::holds_alternative<infra::OutcomeUnknown>(outcome.answer);
}

Machine::Machine(std::uint64_t seed) : random_(seed) {}

Machine::~Machine() { stop(); }

bool Machine::start() {
  stop();
  try {
    log_ = infra::open_embedded_event_log(log_path, disk_.env());
    store_ = infra::open_read_store(store_path, disk_.env());
    metrics_ = std::make_unique<infra::Metrics>();
    writer_ = std::make_unique<infra::Writer>(0, infra::Writer::Limits{}, *log_, *store_, *metrics_,
                                              [this] { return domain::Instant{now_ms_}; });
  } catch (const infra::Unavailable& problem) {
    trouble_ = problem.what();
    stop();
    return false;
  }
  writer_->start();
  writer_->take();
  return recovers();
}

bool Machine::start_on_a_whole_disk() {
  const auto settled = [&] { return serves() || is_beyond_recovery(); };
  return start() || (eventually(settled, whole_disk_wait_max) && serves());
}

std::string Machine::trouble() const {
  return writer_ == nullptr ? trouble_ : writer_->status().detail;
}

bool Machine::serves() const {
  return writer_ != nullptr && writer_->status().state == State::serving;
}

// What could not even be opened is not tried again, nor is what an operator must look at.
bool Machine::is_beyond_recovery() const {
  return writer_ == nullptr || writer_->status().state == State::stopped;
}

bool Machine::recovers() {
  return eventually([&] { return serves(); }, recovery_wait_max);
}

bool Machine::recovers_from_full_disk() {
  return eventually([&] { return serves() && send(1); }, full_disk_wait_max);
}

void Machine::stop() {
  if (writer_ != nullptr) writer_->stop();
  writer_.reset();
  store_.reset();
  log_.reset();
}

std::optional<std::string> Machine::log_refused_elsewhere() {
  const TemporaryDirectory directory;
  disk_.copy_to(directory.path(), log_path.string());
  try {
    infra::open_embedded_event_log(directory.path());
  } catch (const infra::Unavailable& problem) {
    return problem.what();
  }
  return std::nullopt;
}

void Machine::flush() {
  try {
    store_->flush();
  } catch (const infra::Unavailable&) {
    // What isn't written out is folded again.
  }
}

bool Machine::submit() {
  now_ms_ += static_cast<std::int64_t>(random_.below(clock_step_ms_max));
  const domain::OrganizationId organization = commands_.organization();
  auto& known = known_[organization];
  domain::Command command = commands_.next(known);
  if (random_.one_in(large_once_in)) {
    const std::string large(random_.below(large_bytes_max), 'x');
    command = domain::CreateContact{
        domain::ContactId::from_random({random_.bits(), random_.bits(), random_.bits(), 1}),
        {set(domain::Field::first_name, large)}};
  }
  if (const auto* create = std::get_if<domain::CreateContact>(&command)) {
    known.push_back(create->id);
  }
  const std::uint64_t token = ++last_token_;
  const auto refusal = writer_->submit({organization, std::move(command), "key1", request_of(token),
                                        stamp_of(token), &replies_, token});
  return !refusal;
}

bool Machine::take_answer(std::uint64_t token) {
  const infra::Outcome outcome = replies_.wait_for(token);
  told_.emplace(request_of(token), outcome);
  return is_answer(outcome);
}

bool Machine::send(std::size_t commands) {
  while (commands > 0) {
    const std::size_t at_once = std::min(commands, 1 + random_.below(at_once_max));
    std::vector<std::uint64_t> taken;
    for (std::size_t i = 0; i < at_once; ++i) {
      if (submit()) taken.push_back(last_token_);
    }
    writer_->wake();
    bool all = taken.size() == at_once;
    for (const std::uint64_t token : taken) all = take_answer(token) && all;
    if (!all) return false;
    commands -= at_once;
  }
  return true;
}

std::vector<std::string> Machine::folded_anew() {
  SimulatedDisk scratch;
  const auto store = infra::open_read_store(store_path, scratch.env());
  infra::Metrics metrics;
  infra::Projector projector{0, *log_, *store, metrics};
  while (projector.fold_next([](const auto&, const auto&) {})) {
  }
  return lines_of(*store);
}

NaiveModel Machine::settle() {
  writer_->stop();
  NaiveModel model;
  model.add_all(*log_);
  for (const auto& [request, outcome] : told_) model.expect_told(request, outcome);
  model.compare_with(*store_);
  if (lines_of(*store_) != folded_anew()) model.complain("the store isn't what the log makes");
  return model;
}

}  // namespace contactd::test

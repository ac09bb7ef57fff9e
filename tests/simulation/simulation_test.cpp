// The real writer and projector, with their two threads, over a log, a store and a clock that are
// simulated: one seed decides the commands, the faults, and which thread goes on when.
//
// CONTACTD_SIM_SEEDS says how many seeds (the full run: 10000), CONTACTD_SIM_SEED the first one. A
// failure prints the command that repeats it, step by step.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>

#include "infra/projector.hpp"
#include "infra/writer.hpp"
#include "tests/domain/random_commands.hpp"
#include "tests/infra/stored.hpp"
#include "tests/simulation/model.hpp"
#include "tests/simulation/world.hpp"

namespace contactd::test {
namespace {

using infra::Writer;
using State = Writer::Status::State;

constexpr std::uint64_t seeds_quick = 200;
constexpr std::size_t actions = 40;
constexpr std::size_t commands_at_once_max = 6;
constexpr std::size_t sleep_us_max = 400'000;
constexpr std::int64_t clock_jump_ms_max = 6 * hour_ms;  // within what a retry is recognized in
constexpr int looks_max = 2000;  // for the writer to serve, when all is well
constexpr std::int64_t look_interval_ns = 100 * ms;

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* const given = std::getenv(variable);
  return given != nullptr ? std::strtoull(given, nullptr, 10) : otherwise;
}

class Simulation final : public infra::ReplySink {
 public:
  explicit Simulation(std::uint64_t seed) : random_(seed) {}

  void run() {
    try {
      scheduler_.run([this] {
        start();
        for (std::size_t i = 0; i < actions; ++i) act();
        world_.heal();
        finish();
      });
      if (wrong_.empty()) check();
    } catch (const projections::BrokenLog& problem) {
      complain(problem.what());  // to who folds it anew: the rival, or check()
    }
  }

  const std::vector<std::string>& wrong() const { return wrong_; }
  const FaultCounts& faults() const { return world_.faults; }
  std::uint64_t trace() const { return scheduler_.trace(); }
  std::uint64_t switches() const { return scheduler_.switches(); }
  std::size_t answered() const { return answered_; }

  void deliver(std::vector<infra::Reply> replies) override {
    if (!log_->alive()) return;  // nobody hears it
    for (infra::Reply& reply : replies) hear(reply);
  }

 private:
  struct Request {
    domain::OrganizationId organization;
    domain::Command command;
    domain::IdempotencyStamp stamp;
    std::string id;
    std::vector<infra::Outcome> told;
    int sent = 0;
  };

  void start() {
    log_ = std::make_unique<SimulatedLog>(world_);
    store_ = std::make_unique<SimulatedStore>(&world_);
    metrics_ = std::make_unique<infra::Metrics>();
    Writer::Limits limits;
    limits.batch_commands_max = 1 + random_.below(commands_at_once_max);
    limits.batches_in_flight_max = 1 + random_.below(2);
    limits.gather_wait_max = std::chrono::milliseconds{random_.below(2) * 4};
    limits.idle_looks_max = static_cast<int>(random_.below(3));  // each is a turn
    writer_ = std::make_unique<Writer>(0, limits, *log_, *store_, *metrics_, [this] {
      return domain::Instant{noon.unix_ms + scheduler_.now_ns() / ms + world_.clock_offset_ms};
    });
    writer_->start();
    writer_->take();
  }

  void stop() {
    writer_->stop();
    writer_.reset();
  }

  void crash() {
    world_.faults.count(Fault::crash);
    log_->crash();
    store_->crash();
    if (!store_->is_flushed()) world_.faults.count(Fault::unsynced_lost);
    stop();
    open_.clear();
    start();
  }

  void act() {
    switch (random_.below(16)) {
      case 0:
        return crash();
      case 1:
        stop();
        store_->flush_to_world();
        return start();
      case 2:
        return store_->flush_to_world();
      case 3:
        return world_.deliver_late();
      case 4:
        return jump_clock();
      case 5:
        if (random_.one_in(3)) give_up_for_a_while();
        return;
      case 6:
        if (world_.strikes(Fault::rival_claim, 4)) world_.claim_as_rival();
        return;
      case 7:
      case 8:
        return retry_one();
      default:
        return send_some();
    }
  }

  void jump_clock() {
    const auto size = static_cast<std::int64_t>(random_.below(clock_jump_ms_max));
    const bool forth = random_.one_in(2);
    world_.faults.count(forth ? Fault::clock_forth : Fault::clock_back);
    world_.clock_offset_ms = forth ? size : -size;
  }

  void give_up_for_a_while() {
    world_.faults.count(Fault::given_up);
    writer_->give_up(random_.one_in(2) ? infra::Ownership::elsewhere : infra::Ownership::unknown);
    let_time_pass();
    writer_->take();
  }

  void let_time_pass() {
    scheduler_.sleep_ns(static_cast<std::int64_t>(random_.below(sleep_us_max)) * 1000);
  }

  void send_some() {
    for (std::size_t i = 1 + random_.below(commands_at_once_max); i > 0; --i) send(new_request());
    writer_->wake();
    if (random_.one_in(2)) let_time_pass();
  }

  Request& new_request() {
    const domain::OrganizationId organization = commands_.organization();
    auto& known = known_[organization];
    domain::Command command = commands_.next(known);
    if (const auto* create = std::get_if<domain::CreateContact>(&command)) {
      known.push_back(create->id);
    }
    return add_request(organization, std::move(command));
  }

  Request& add_request(const domain::OrganizationId& organization, domain::Command command) {
    domain::IdempotencyStamp stamp;
    const std::uint64_t number = requests_.size() + 1;
    std::memcpy(stamp.key.data(), &number, sizeof number);
    requests_.push_back(
        {organization, std::move(command), stamp, "r" + std::to_string(number), {}, 0});
    return requests_.back();
  }

  void send(Request& request) {
    const std::uint64_t token = ++last_token_;
    open_[token] = &request;  // the answer may come before submit() returns
    const auto refusal = writer_->submit(
        {request.organization, request.command, "key1", request.id, request.stamp, this, token});
    if (refusal) {
      open_.erase(token);
    } else {
      ++request.sent;
    }
  }

  // As a client does that wasn't told, or was told that nobody knows.
  void retry_one() {
    for (int attempt = 0; attempt < 8 && !requests_.empty(); ++attempt) {
      Request& request = requests_[random_.below(requests_.size())];
      const bool decided = !request.told.empty() && !std::holds_alternative<infra::OutcomeUnknown>(
                                                        request.told.back().answer);
      if (decided && !random_.one_in(8)) continue;
      send(request);
      writer_->wake();
      return let_time_pass();
    }
  }

  void hear(infra::Reply& reply) {
    const auto found = open_.find(reply.token);
    if (found == open_.end()) return complain("a reply to nobody, or a second one");
    Request& request = *found->second;
    open_.erase(found);
    const auto& answer = reply.outcome.answer;
    if (!std::holds_alternative<infra::OutcomeUnknown>(answer) &&
        !std::holds_alternative<infra::NotTaken>(answer)) {
      ++answered_;
      // A 2xx is a promise: it has come back from the log, and readers see it.
      if (!store_->knows(request.stamp.key)) {
        complain(request.id + " was answered before it was folded");
      }
    }
    request.told.push_back(std::move(reply.outcome));
  }

  void finish() {
    writer_->take();
    const auto serves = [&] {
      return writer_->status().state == State::serving && open_.empty() &&
             store_->checkpoint(0).next_offset == world_.records.size();
    };
    wait_until(serves);
    change_every_contact();
    wait_until(serves);
    stop();
  }

  void wait_until(const std::function<bool()>& serves) {
    for (int look = 0; !serves(); ++look) {
      if (look == looks_max) {
        return complain("all is well and it doesn't serve: " + writer_->status().detail);
      }
      writer_->wake();
      scheduler_.sleep_ns(look_interval_ns);
    }
  }

  // Whoever still has an old state of one decides on that now.
  void change_every_contact() {
    for (const auto& [organization, contacts] : known_) {
      for (const domain::ContactId& contact : contacts) {
        const domain::UpdateContact command{
            contact, {set(domain::Field::company, "last")}, domain::AnyVersion{}};
        send(add_request(organization, command));
      }
    }
  }

  void check() {
    NaiveModel model;
    for (const auto& entry : world_.records) {
      if (std::holds_alternative<infra::ForeignRecord>(entry.record)) continue;
      model.add(entry);
    }
    for (const Request& request : requests_) {
      for (const infra::Outcome& outcome : request.told) {
        // One that was sent again may be in the log for another time that it was sent.
        const bool not_taken = std::holds_alternative<infra::NotTaken>(outcome.answer);
        if (!not_taken || request.sent == 1) model.expect_told(request.id, outcome);
      }
    }
    model.compare_with(*store_);
    wrong_ = model.wrong();
    SimulatedStore anew{nullptr};
    scheduler_.run([&] {
      SimulatedLog log{world_};
      infra::Projector projector{0, log, anew, *metrics_};
      while (projector.fold_next([](const auto&, const auto&) {})) {
      }
    });
    if (lines_of(anew) != lines_of(*store_)) complain("the store isn't what the log makes");
  }

  void complain(std::string what) { wrong_.push_back(std::move(what)); }

  Random random_;
  Scheduler scheduler_{random_};
  World world_{scheduler_, random_};
  RandomCommands commands_{random_};
  std::map<domain::OrganizationId, std::vector<domain::ContactId>> known_;
  std::deque<Request> requests_;
  std::map<std::uint64_t, Request*> open_;  // by token
  std::uint64_t last_token_ = 0;
  std::size_t answered_ = 0;
  std::vector<std::string> wrong_;

  std::unique_ptr<infra::Metrics> metrics_;
  std::unique_ptr<SimulatedLog> log_;
  std::unique_ptr<SimulatedStore> store_;
  std::unique_ptr<Writer> writer_;
};

TEST(Simulation, KeepsEveryInvariantWhateverGoesWrong) {
  spdlog::set_level(spdlog::level::off);
  const bool chosen = std::getenv("CONTACTD_SIM_SEED") != nullptr;
  const std::uint64_t first = number_from("CONTACTD_SIM_SEED", test_seed());
  const std::uint64_t count = number_from("CONTACTD_SIM_SEEDS", seeds_quick);
  FaultCounts faults;
  std::size_t answered = 0;
  std::uint64_t switches = 0;
  std::uint64_t failed = 0;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    Simulation simulation{seed};
    simulation.run();
    faults.add(simulation.faults());
    answered += simulation.answered();
    switches += simulation.switches();
    if (simulation.wrong().empty()) continue;
    ++failed;
    ADD_FAILURE() << "to repeat: CONTACTD_SIM_SEED=" << seed
                  << " CONTACTD_SIM_SEEDS=1 build/release/simulation_test\n"
                  << testing::PrintToString(simulation.wrong());
  }
  std::cout << "CONTACTD_SIM_SEED=" << first << ": " << count << " seeds, " << failed << " failed, "
            << answered << " commands answered, " << switches << " switches\n";
  for (std::size_t i = 0; i < fault_kinds; ++i) {
    std::cout << "  " << fault_names[i] << ": " << faults.of[i] << '\n';
    if (!chosen) {
      EXPECT_GT(faults.of[i], 0U) << fault_names[i] << " never happened";
    }
  }
}

TEST(Simulation, OfOneSeedIsTheSameEachTime) {
  spdlog::set_level(spdlog::level::off);
  const std::uint64_t seed = number_from("CONTACTD_SIM_SEED", test_seed());
  SCOPED_TRACE("CONTACTD_SIM_SEED=" + std::to_string(seed));
  Simulation one{seed};
  Simulation other{seed};
  one.run();
  other.run();
  EXPECT_EQ(one.trace(), other.trace());
  EXPECT_EQ(one.switches(), other.switches());
  EXPECT_EQ(one.answered(), other.answered());
}

}  // namespace
}  // namespace contactd::test

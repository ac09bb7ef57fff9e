#include <gtest/gtest.h>

#include <set>

#include "projections/history.hpp"
#include "tests/infra/writer_fixture.hpp"
#include "tests/support/fold_rest.hpp"

// The log is the only truth: whatever is lost of the projections, and whenever, comes back from it
// key by key.
namespace contactd::test {
namespace {

using namespace contactd::infra;
using projections::ContactAnswer;
using projections::Table;

class RebuildTest : public WriterTest {
 protected:
  // Runs random commands, all at once or one by one; returns their outcomes.
  std::vector<Outcome> run_random(int count, std::size_t at_once) {
    std::vector<std::uint64_t> tokens;
    std::vector<Outcome> outcomes;
    for (int i = 0; i < count; ++i) {
      now_ms_ += static_cast<std::int64_t>(random_.below(3));
      if (random_.one_in(40)) now_ms_ += hour_ms * static_cast<std::int64_t>(random_.below(30));
      in(commands_.organization().str());
      if (random_.one_in(3)) with_key(next_key_++);
      const domain::Command command = commands_.next(known_);
      if (const auto* create = std::get_if<domain::CreateContact>(&command)) {
        known_.push_back(create->id);
      }
      wait_until_serving();
      // What is refused at once, because the writer stumbled just now, is as if never sent.
      const auto refusal = try_submit_counted(command, tokens);
      if (refusal || (tokens.size() >= at_once)) collect(tokens, outcomes);
    }
    collect(tokens, outcomes);
    return outcomes;
  }

  std::optional<Refusal> try_submit_counted(const domain::Command& command,
                                            std::vector<std::uint64_t>& tokens) {
    const auto refusal = try_submit(command);
    if (!refusal) tokens.push_back(last_token());
    return refusal;
  }
  void collect(std::vector<std::uint64_t>& tokens, std::vector<Outcome>& outcomes) {
    for (const auto token : tokens) outcomes.push_back(outcome_of(token));
    tokens.clear();
  }

  // Opens copies of both directories as a process would that starts after a crash; folds on.
  std::vector<std::string> rows_after_crash() {
    const TemporaryDirectory crashed;
    const auto recursive = std::filesystem::copy_options::recursive;
    std::filesystem::copy(store_path(), crashed.path() / "projections", recursive);
    std::filesystem::copy(log_path(), crashed.path() / "log", recursive);
    const auto log = open_embedded_event_log(crashed.path() / "log");
    const auto store = open_read_store(crashed.path() / "projections");
    Metrics metrics;
    SharedLog shared{*log};
    Projector projector{0, shared, *store, metrics};
    recovered_from_ = projector.checkpoint().next_offset;
    fold_rest(projector);
    return lines_of(*store);
  }

  const std::uint64_t seed_ = test_seed();
  const testing::ScopedTrace trace_{__FILE__, __LINE__, seed_note(seed_)};
  Random random_{seed_};
  RandomCommands commands_{random_};
  std::vector<domain::ContactId> known_;
  std::uint8_t next_key_ = 0;
  std::uint64_t recovered_from_ = 0;
};

TEST_F(RebuildTest, WithoutItsProjectionsTheDatabaseComesBackTheSame) {
  start();
  run_random(400, 30);
  stop();
  open();
  const auto live = lines_of(*store_);
  EXPECT_GT(live.size(), 100U);
  stop();
  std::filesystem::remove_all(store_path());
  open();
  EXPECT_TRUE(lines_of(*store_).empty());
  EXPECT_EQ(folded_anew(), live);
  start();
  // The start's own claim is in the log now, and nothing else.
  EXPECT_EQ(lines_of(*store_), folded_anew());
  EXPECT_EQ(metrics_->fold_events.Value(), static_cast<double>(log_end()));
}

TEST_F(RebuildTest, AfterACrashTheDatabaseComesBackTheSame) {
  start();
  for (int round = 0; round < 3; ++round) {
    run_random(80, 20);
    EXPECT_EQ(rows_after_crash(), lines_of(*store_));
    EXPECT_LT(recovered_from_, log_end());
    store_->flush();
    EXPECT_EQ(rows_after_crash(), lines_of(*store_));
    EXPECT_EQ(recovered_from_, log_end());
  }
}

TEST_F(RebuildTest, ARestartKeepsEverything) {
  start();
  for (int round = 0; round < 4; ++round) {
    run_random(60, 1 + random_.below(20));
    const auto before = lines_of(*store_);
    stop();
    open();
    EXPECT_EQ(lines_of(*store_), before);
    start();
  }
}

// What no fault may break, checked when it is over: the live database is the log's, emails are
// unique, whoever was told of a version finds it in the history, whoever was told that nothing was
// done finds nothing.
TEST_F(RebuildTest, FaultsNeverPartTheDatabaseFromTheLog) {
  start();
  const auto unknown = [](EventLog&, const Claim&, FaultyLog::Batch) {
    return AppendResult::unknown;
  };
  const auto kept = [](EventLog& log, const Claim& claim, FaultyLog::Batch batch) {
    log.append(claim, batch);
    return AppendResult::unknown;
  };
  const auto rivalled = [](EventLog& log, const Claim&, FaultyLog::Batch batch) {
    domain::RecordedEvent claim = batch.front();
    claim.idempotency = {};
    claim.stamp = {};
    claim.event = domain::WriterClaimed{"rival"};
    claim.chain_hash = {};
    return log.append(log.claim(0, claim), batch);
  };
  const auto twice = [](EventLog& log, const Claim& claim, FaultyLog::Batch batch) {
    log.append(claim, batch);
    return log.append(claim, batch);
  };
  const std::vector<FaultyLog::OnAppend> faults = {unknown, kept, rivalled, twice};
  std::size_t told = 0;
  for (int round = 0; round < 25; ++round) {
    log_->on_append(random_.pick(faults));
    for (const Outcome& outcome : run_random(20, 1 + random_.below(8))) {
      const auto* answer = std::get_if<ContactAnswer>(&outcome.answer);
      if (answer == nullptr) continue;
      ++told;
      const auto id = domain::ContactId::parse(answer->json.substr(7, 20));
      bool found = false;
      for (const char* of : {"a", "ab", "b"}) {
        const auto key = projections::keys::history(org(of), *id, answer->version);
        found = found || store_->get(Table::history, key).has_value();
      }
      EXPECT_TRUE(found) << answer->json;
    }
    wait_until_serving();
  }
  EXPECT_GT(told, 50U);
  EXPECT_EQ(lines_of(*store_), folded_anew());
  std::set<std::string> seen;
  store_->visit_all([&](Table table, std::string_view key, std::string_view row) {
    if (table != Table::contacts) return;
    const auto contact = projections::read_contact(std::string{row}).contact;
    const auto& email = contact[domain::Field::email];
    if (email.is_null()) return;
    const std::string of{key.substr(0, key.find('\0') + 1)};
    EXPECT_TRUE(seen.insert(of + std::string{email.json()}).second) << email.json();
  });
}

}  // namespace
}  // namespace contactd::test

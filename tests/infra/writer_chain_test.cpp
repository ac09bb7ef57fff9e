#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include "infra/record_codec.hpp"
#include "projections/binary.hpp"
#include "projections/event_chain.hpp"
#include "tests/infra/writer_fixture.hpp"

// The chain of hashes, as the writer writes it and as the fold finds it again.
namespace contactd::test {
namespace {

using namespace contactd::infra;
using domain::Field;
using domain::RecordedEvent;

class WriterChain : public WriterTest {
 protected:
  // Walks over the whole log. Every event but the claims must carry its hash, made anew here.
  domain::Digest head_of_log() {
    domain::Digest head{};
    for (const LogEntry& entry : log_->real().read(0, 0, log_end()).entries) {
      const auto& event = std::get<RecordedEvent>(entry.record);
      EXPECT_EQ(entry.canonical, projections::canonical_bytes(event));
      head = projections::chain_hash(head, entry.canonical);
      const bool claim = std::holds_alternative<domain::WriterClaimed>(event.event);
      EXPECT_EQ(event.chain_hash, claim ? std::nullopt : std::optional{head}) << entry.offset;
    }
    return head;
  }
  domain::Digest folded_head() { return store_->checkpoint(0).chain.hash; }

  // Changes a record behind the back of everybody; with a valid checksum, as its owner could.
  void rewrite(std::uint64_t offset, const std::function<void(std::string&)>& change) {
    rocksdb::DB* opened = nullptr;
    ASSERT_TRUE(rocksdb::DB::Open({}, log_path().string(), &opened).ok());
    const std::unique_ptr<rocksdb::DB> db{opened};
    std::string key;
    projections::append_number(key, offset);
    std::string record;
    ASSERT_TRUE(db->Get({}, key, &record).ok());
    change(record);
    ASSERT_TRUE(db->Put({}, key, record).ok());
  }
  static void replace(std::string& text, std::string_view from, std::string_view to) {
    const std::size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos);
    text.replace(at, from.size(), to);
  }
  void expect_stops(const char* with_what) {
    open();
    writer_ = std::make_unique<Writer>(0, Writer::Limits{}, *log_, *store_, *metrics_,
                                       [this] { return domain::Instant{now_ms_}; });
    writer_->start();
    writer_->take();
    wait_until(State::stopped, "the writer doesn't stop");
    EXPECT_NE(writer_->status().detail.find(with_what), std::string::npos)
        << writer_->status().detail;
  }
};

TEST_F(WriterChain, IsWrittenAndFoldedAcrossRestarts) {
  for (int round = 0; round < 3; ++round) {
    start();
    const std::string name = "c" + std::to_string(round);
    run(create(name.c_str()));
    as_one_batch([&] {
      for (const char* company : {"a", "b", "c"}) {
        submit(update(name.c_str(), {set(Field::company, company)}));
      }
    });
    EXPECT_EQ(head_of_log(), folded_head());
    stop();
  }
}

TEST_F(WriterChain, RunsOverBatchesInFlight) {
  start({.batches_in_flight_max = 2});
  std::vector<std::uint64_t> tokens(200);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    tokens[i] = submit(create((std::to_string(i) + "x").c_str()));
  }
  for (const auto token : tokens) outcome_of(token);
  EXPECT_EQ(head_of_log(), folded_head());
  EXPECT_EQ(store_->checkpoint(0).chain.proven, 200U);
}

// What a batch that was lost would have had in the chain isn't in it.
TEST_F(WriterChain, GoesOnAfterALostBatch) {
  start();
  run(create("ann"));
  log_->on_append([](EventLog&, const Claim&, FaultyLog::Batch) { return AppendResult::unknown; });
  run(create("bob"));
  wait_for_claim(2);
  run(create("cid"));
  EXPECT_EQ(head_of_log(), folded_head());
}

TEST_F(WriterChain, BeginsWhereALogOfAnEarlierReleaseEnds) {
  LogBuilder builder;
  builder.then(created(contact_id("ann"))).then(created(contact_id("bob")));
  open();
  write_to(*log_, builder.log);
  start();
  run(update("ann", {set(Field::company, "Acme")}));
  const auto chain = store_->checkpoint(0).chain;
  EXPECT_EQ(chain.events, 5U);
  EXPECT_EQ(chain.proven, 1U);
}

TEST_F(WriterChain, StopsAtARecordThatWasRewritten) {
  start();
  run(create("ann"));
  run(update("ann", {set(Field::company, "Acme")}));
  run(update("ann", {set(Field::company, "Bcme")}));
  stop();
  std::filesystem::remove_all(store_path());
  rewrite(2, [](std::string& record) { replace(record, "Acme", "Ecme"); });
  expect_stops("offset 2 isn't the one that its chain was built with");
}

TEST_F(WriterChain, StopsAtARecordWhoseHashWasTakenAway) {
  start();
  run(create("ann"));
  run(create("bob"));
  stop();
  std::filesystem::remove_all(store_path());
  rewrite(2, [](std::string& record) { record = std::string{canonical_part(record)}; });
  expect_stops("offset 2 has no chain hash");
}

}  // namespace
}  // namespace contactd::test

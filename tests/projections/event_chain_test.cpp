#include "projections/event_chain.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "domain/sha256.hpp"
#include "tests/projections/log_builder.hpp"
#include "tests/projections/tables.hpp"

namespace contactd::projections {
namespace {

using namespace contactd::test;
using domain::RecordedEvent;

// What a writer would put on each event.
void seal(std::vector<RecordedEvent>& log) {
  Checkpoint at;
  for (std::uint64_t offset = 0; offset < log.size(); ++offset) {
    RecordedEvent& event = log[offset];
    if (admit(at, offset, event) != Admission::current) continue;
    at.chain.hash = chain_hash(at.chain.hash, canonical_bytes(event));
    if (!std::holds_alternative<domain::WriterClaimed>(event.event)) {
      event.chain_hash = at.chain.hash;
    }
  }
}

std::vector<RecordedEvent> sealed_log(Random& random, int commands = 60) {
  RandomLog source{random};
  source.run(commands);
  std::vector<RecordedEvent> log = source.log();
  seal(log);
  return log;
}

// Where the fold of the whole log stops; nothing if it doesn't.
std::optional<std::string> refusal_of(const std::vector<RecordedEvent>& log) {
  Tables tables;
  try {
    fold_some(tables, log, log.size());
  } catch (const BrokenLog& problem) {
    return problem.what();
  }
  return std::nullopt;
}

TEST(Sha256, IsThatOfTheStandard) {
  // FIPS 180-2, appendix B.
  EXPECT_EQ(domain::to_hex(domain::sha256("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(domain::sha256("ab", "c"), domain::sha256("abc"));
  EXPECT_EQ(domain::to_hex(domain::sha256("")),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

// Frozen: a log keeps these hashes for ever, and auditors keep them elsewhere. What `sha256sum`
// says of 32 zero bytes and the canonical bytes.
TEST(EventChain, HasThisHash) {
  const RecordedEvent event{domain::EventId::from(0x017F22E279B0, {~0ULL, ~0ULL}),
                            noon,
                            org("acme"),
                            "key1",
                            "request \"1\"",
                            domain::IdempotencyStamp{digest(0xab), digest(0xcd)},
                            {258, 3},
                            domain::ContactDeleted{contact_id("ann"), 2}};
  EXPECT_EQ(domain::to_hex(chain_hash({}, canonical_bytes(event))),
            "98bf99cee47bc1f11b7a3e3227db63f9dc8e4f478541c1a9f2e339e5bb227f21");
}

TEST(EventChain, IsKeptWhateverIsDecided) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  const auto log = sealed_log(random, 300);
  Tables whole;
  fold_rest(whole, log);
  const ChainHead head = whole.checkpoint(0).chain;
  EXPECT_GT(head.proven, 100U);
  EXPECT_LE(head.proven, head.events);
  EXPECT_LT(head.events, log.size()) << "strays aren't in the chain";
  Tables cut;
  while (cut.checkpoint(0).next_offset < log.size()) {
    fold_some(cut, log, std::min(log.size() - cut.checkpoint(0).next_offset, random.below(9) + 1));
  }
  EXPECT_EQ(cut.lines(), whole.lines());
}

TEST(EventChain, OfALogWithoutHashesIsTheSame) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  auto log = sealed_log(random);
  Tables sealed;
  fold_rest(sealed, log);
  for (RecordedEvent& event : log) event.chain_hash.reset();
  Tables bare;
  fold_rest(bare, log);
  EXPECT_EQ(bare.checkpoint(0).chain.hash, sealed.checkpoint(0).chain.hash);
  EXPECT_EQ(bare.checkpoint(0).chain.proven, 0U);
}

domain::Event updated(const char* name, domain::Version version) {
  return domain::ContactUpdated{
      contact_id(name),
      version,
      {change(domain::Field::company, std::to_string(version - 1), std::to_string(version))}};
}

// Two claims with two and three events under them, none of which the rules would refuse.
std::vector<RecordedEvent> small_log() {
  LogBuilder builder;
  builder.then(created(contact_id("ann"), "ann@x.io")).then(created(contact_id("bob")));
  builder.claim();
  builder.then(updated("ann", 2)).then(updated("bob", 2)).then(updated("ann", 3));
  seal(builder.log);
  return builder.log;
}

struct TamperedRow {
  const char* what;
  std::function<void(std::vector<RecordedEvent>&)> tamper;
  std::uint64_t found_at;
};

TEST(EventChain, ShowsWhatWasTamperedWith) {
  using Log = std::vector<RecordedEvent>;
  const std::vector<TamperedRow> rows = {
      {"who did it", [](Log& log) { log[1].actor = "key2"; }, 1},
      {"when", [](Log& log) { log[5].time = after(1); }, 5},
      {"in which request", [](Log& log) { log[4].request_id += '!'; }, 4},
      {"the id of an event", [](Log& log) { log[2].id = log[1].id; }, 2},
      {"a value", [](Log& log) { log[4].event = domain::ContactUpdated{contact_id("ann"), 2, {}}; },
       4},
      {"an idempotency stamp",
       [](Log& log) { log[4].idempotency = domain::IdempotencyStamp{digest(1), digest(2)}; }, 4},
      {"a claim, which the next event shows",
       [](Log& log) { log[3].event = domain::WriterClaimed{"another"}; }, 4},
      {"a claim was put in",
       [](Log& log) {
         LogBuilder builder;
         log.insert(log.begin() + 3, builder.log.front());
         for (auto at = log.begin() + 5; at != log.end(); ++at) at->stamp.claim = 4;
       },
       5},
      {"the last event of a claim was left out",
       [](Log& log) {
         log.erase(log.begin() + 2);
         for (auto at = log.begin() + 3; at != log.end(); ++at) at->stamp.claim = 2;
       },
       3},
      {"two events have changed places",
       [](Log& log) {
         std::swap(log[4], log[5]);
         std::swap(log[4].stamp, log[5].stamp);
       },
       4},
      {"a hash", [](Log& log) { log[4].chain_hash->back() ^= 1U; }, 4},
      {"a hash was taken away", [](Log& log) { log[4].chain_hash.reset(); }, 4},
      {"all hashes of a claim were taken away",
       [](Log& log) {
         for (std::size_t i = 4; i < log.size(); ++i) log[i].chain_hash.reset();
       },
       4},
  };
  EXPECT_EQ(refusal_of(small_log()), std::nullopt);
  for (const TamperedRow& row : rows) {
    SCOPED_TRACE(row.what);
    auto log = small_log();
    row.tamper(log);
    const auto refusal = refusal_of(log);
    ASSERT_TRUE(refusal);
    EXPECT_NE(refusal->find("offset " + std::to_string(row.found_at) + ' '), std::string::npos)
        << *refusal;
    EXPECT_NE(refusal->find("chain"), std::string::npos) << *refusal;
  }
}

// Whoever can rewrite all that follows can make a chain of his own: only a head that somebody else
// has kept tells.
TEST(EventChain, HasAnotherHeadAfterItWasForged) {
  auto log = small_log();
  Tables before;
  fold_rest(before, log);
  log[1].actor = "key2";
  for (auto& event : log) event.chain_hash.reset();
  seal(log);
  Tables forged;
  fold_rest(forged, log);
  EXPECT_NE(forged.checkpoint(0).chain.hash, before.checkpoint(0).chain.hash);
}

}  // namespace
}  // namespace contactd::projections

#include "infra/embedded_event_log.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "infra/embedded_log_files.hpp"
#include "infra/errors.hpp"
#include "projections/fold.hpp"
#include "tests/infra/event_log_conformance.hpp"
#include "tests/support/temporary_directory.hpp"

namespace contactd::test {
namespace {

namespace fs = std::filesystem;

class EmbeddedLogUnderTest {
 public:
  infra::EventLog& log() { return *log_; }
  infra::EventLog& rival() { return *log_; }
  void reopen() {
    log_.reset();
    log_ = infra::open_embedded_event_log(directory_.path() / "log");
  }

 private:
  TemporaryDirectory directory_;
  std::unique_ptr<infra::EventLog> log_ = infra::open_embedded_event_log(directory_.path() / "log");
};

using Embedded = testing::Types<EmbeddedLogUnderTest>;
INSTANTIATE_TYPED_TEST_SUITE_P(Embedded, EventLogConformance, Embedded);

TEST(EmbeddedEventLog, CountsOffsetsWithoutGaps) {
  EmbeddedLogUnderTest embedded;
  EXPECT_EQ(embedded.log().partition_count(), 1U);
  EXPECT_EQ(embedded.log().claim(0, claim_proposal()).epoch, 0U);
  const infra::Claim claim = embedded.log().claim(0, claim_proposal());
  EXPECT_EQ(claim.epoch, 1U);
  const std::vector<domain::RecordedEvent> batch(3, claim_proposal());
  ASSERT_EQ(embedded.log().append(claim, batch), infra::AppendResult::committed);
  EXPECT_EQ(embedded.log().end_offset(0), 5U);
  embedded.reopen();
  EXPECT_EQ(embedded.log().end_offset(0), 5U);
  const infra::LogSlice slice = embedded.log().read(0, 0, 100);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(slice.entries.at(i).offset, i);
  EXPECT_EQ(slice.next_offset, 5U);
}

TEST(EmbeddedEventLog, CutsASliceOfLargeRecords) {
  EmbeddedLogUnderTest embedded;
  const infra::Claim claim = embedded.log().claim(0, claim_proposal());
  const domain::WriterClaimed large{std::string(infra::slice_bytes_max / 2, 'x')};
  for (int i = 0; i < 3; ++i) {
    domain::RecordedEvent event = claim_proposal();
    event.event = large;
    ASSERT_EQ(embedded.log().append(claim, {&event, 1}), infra::AppendResult::committed);
  }
  const infra::LogSlice first = embedded.log().read(0, 0, 100);
  EXPECT_EQ(first.entries.size(), 3U);
  EXPECT_EQ(first.next_offset, 3U);
  EXPECT_EQ(embedded.log().read(0, first.next_offset, 100).entries.size(), 1U);
}

TEST(EmbeddedEventLog, FencesEveryClaimOfAnEarlierProcess) {
  EmbeddedLogUnderTest embedded;
  const infra::Claim claim = embedded.log().claim(0, claim_proposal());
  embedded.reopen();
  EXPECT_EQ(embedded.log().append(claim, std::vector{claim_proposal()}),
            infra::AppendResult::fenced);
  EXPECT_EQ(embedded.log().end_offset(0), 1U);
}

TEST(EmbeddedEventLog, RefusesADirectoryThatAnotherProcessHas) {
  const TemporaryDirectory directory;
  const auto log = infra::open_embedded_event_log(directory.path());
  EXPECT_THROW(infra::open_embedded_event_log(directory.path()), infra::LogUnavailable);
}

std::string bytes_of(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

// RocksDB would make a new database of it, and at the next start remove the old one's tables.
TEST(EmbeddedEventLog, RefusesOneWithoutCurrentAndChangesNothing) {
  const TemporaryDirectory directory;
  {
    const auto log = infra::open_embedded_event_log(directory.path());
    log->claim(0, claim_proposal());
  }
  fs::rename(directory.path() / "CURRENT", directory.path() / "elsewhere");
  const auto files = [&] {
    std::map<fs::path, std::string> all;
    for (const auto& entry : fs::directory_iterator{directory.path()}) {
      all.emplace(entry.path(), bytes_of(entry.path()));
    }
    return all;
  };
  const auto before = files();
  for (int tries = 0; tries < 3; ++tries) {
    EXPECT_THROW(infra::open_embedded_event_log(directory.path()), infra::LogUnavailable);
    EXPECT_EQ(files(), before);
  }
  fs::rename(directory.path() / "elsewhere", directory.path() / "CURRENT");
  EXPECT_EQ(infra::open_embedded_event_log(directory.path())->end_offset(0), 1U);
}

TEST(EmbeddedEventLog, SaysWhichKeyIsNoneOfItsOwn) {
  const TemporaryDirectory directory;
  infra::open_embedded_event_log(directory.path())->claim(0, claim_proposal());
  {
    const infra::RocksDb db{
        directory.path(), rocksdb::DBOptions{}, {{"default", infra::record_options()}}};
    ASSERT_TRUE(db->Put({}, "\xFF\xFF", "foreign").ok());
  }
  try {
    infra::open_embedded_event_log(directory.path());
    ADD_FAILURE() << "it is opened";
  } catch (const projections::BrokenLog& problem) {
    const std::string told = problem.what();
    EXPECT_NE(told.find("0xFFFF"), std::string::npos) << told;
    EXPECT_NE(told.find("restore the log from a backup"), std::string::npos) << told;
  }
}

TEST(EmbeddedEventLog, RefusesADirectoryThatCannotBe) {
  const TemporaryDirectory directory;
  std::ofstream{directory.path() / "file"} << "x";
  EXPECT_THROW(infra::open_embedded_event_log(directory.path() / "file" / "log"),
               infra::LogUnavailable);
}

}  // namespace
}  // namespace contactd::test

#include "infra/wal_check.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "infra/embedded_event_log.hpp"
#include "infra/errors.hpp"
#include "tests/domain/samples.hpp"
#include "tests/support/temporary_directory.hpp"

// What becomes of a write-ahead log that a crash has left behind, if it is damaged.
namespace contactd::test {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t batches = 40;

class WalCheck : public testing::Test {
 protected:
  // A log of a claim and `batches` batches, as it is on the disk while it is open; some of them
  // longer than a block.
  WalCheck() {
    const auto log = infra::open_embedded_event_log(directory_.path() / "log");
    domain::RecordedEvent event;
    event.event = domain::WriterClaimed{"w"};
    const infra::Claim claim = log->claim(0, event);
    std::uint64_t sequence = 0;
    for (std::size_t i = 0; i < batches; ++i) {
      const std::size_t bytes = random_.one_in(4) ? 50'000 : 1 + random_.below(900);
      std::vector<domain::RecordedEvent> batch(1 + random_.below(3), event);
      for (auto& one : batch) {
        one.event = domain::ApiKeyRevoked{std::string(bytes, 'k')};
        one.stamp = {claim.epoch, ++sequence};
      }
      end_before_last_ = log->end_offset(0);
      EXPECT_EQ(log->append(claim, batch), infra::AppendResult::committed);
    }
    end_ = log->end_offset(0);
    fs::copy(directory_.path() / "log", original(), fs::copy_options::recursive);
  }

  fs::path original() const { return directory_.path() / "original"; }
  fs::path crashed() const { return directory_.path() / "crashed"; }
  // The one that has the records.
  static fs::path wal_in(const fs::path& directory) {
    fs::path found;
    for (const auto& entry : fs::directory_iterator{directory}) {
      if (entry.path().extension() == ".log" && entry.file_size() > 0) found = entry.path();
    }
    return found;
  }
  void copy_anew() const {
    fs::remove_all(crashed());
    fs::copy(original(), crashed(), fs::copy_options::recursive);
  }
  void flip(std::size_t at, unsigned bit) const {
    std::fstream stream{wal_in(crashed()), std::ios::in | std::ios::out | std::ios::binary};
    stream.seekg(static_cast<std::streamoff>(at));
    const int byte = stream.get();
    stream.seekp(static_cast<std::streamoff>(at));
    stream.put(static_cast<char>(static_cast<unsigned char>(byte) ^ (1U << bit)));
  }
  // Nothing if it is refused.
  std::optional<std::uint64_t> end_when_opened() const {
    try {
      return infra::open_embedded_event_log(crashed())->end_offset(0);
    } catch (const infra::LogUnavailable&) {
      return std::nullopt;
    }
  }

  const std::uint64_t seed_ = test_seed();
  const testing::ScopedTrace trace_{__FILE__, __LINE__, seed_note(seed_)};
  Random random_{seed_};
  const TemporaryDirectory directory_;
  std::uint64_t end_before_last_ = 0;
  std::uint64_t end_ = 0;
};

TEST_F(WalCheck, LetsAWholeLogPass) {
  copy_anew();
  EXPECT_FALSE(infra::find_wal_damage(crashed()));
  EXPECT_EQ(end_when_opened(), end_);
}

// Only the last write may be missing from a log that opens.
TEST_F(WalCheck, RefusesALogThatWouldForgetAcknowledgedRecords) {
  constexpr int flips = 80;
  int refused = 0;
  for (int i = 0; i < flips; ++i) {
    copy_anew();
    const std::size_t at = random_.below(fs::file_size(wal_in(crashed())));
    const auto bit = static_cast<unsigned>(random_.below(8));
    flip(at, bit);
    const auto end = end_when_opened();
    refused += end ? 0 : 1;
    EXPECT_TRUE(!end || end == end_ || end == end_before_last_)
        << "byte " << at << ", bit " << bit << ": the log ends at " << *end << " of " << end_;
  }
  EXPECT_GT(refused, flips / 2);
}

// A write that was under way when the power went, however far it came: its end missing, or nothing
// in its stead.
TEST_F(WalCheck, LetsATornLastWritePass) {
  const std::size_t whole = fs::file_size(wal_in(original()));
  for (int i = 0; i < 40; ++i) {
    copy_anew();
    const std::size_t torn = 1 + random_.below(100);  // less than the smallest write
    fs::resize_file(wal_in(crashed()), whole - torn);
    if (random_.one_in(2)) fs::resize_file(wal_in(crashed()), whole + random_.below(100'000));
    const auto end = end_when_opened();
    ASSERT_TRUE(end) << torn;
    EXPECT_EQ(end, end_before_last_) << torn;
  }
}

TEST_F(WalCheck, LooksAtNothingWhereThereIsNothing) {
  EXPECT_FALSE(infra::find_wal_damage(directory_.path() / "nowhere"));
}

}  // namespace
}  // namespace contactd::test

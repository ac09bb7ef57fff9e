#include "infra/wal_check.hpp"

#include <gtest/gtest.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <sys/stat.h>

#include <fstream>
#include <set>
#include <thread>
#include <tuple>

#include "infra/embedded_event_log.hpp"
#include "infra/errors.hpp"
#include "infra/wal_files.hpp"
#include "infra/wal_format.hpp"
#include "tests/domain/samples.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/temporary_directory.hpp"

// What becomes of a write-ahead log that a crash has left behind, if it is damaged.
namespace contactd::test {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t batches = 40;
constexpr std::size_t filling_bytes = 1U << 20U;
constexpr std::size_t fillings_max = 128;  // some three WALs are full by then

enum class Wal { new_file, written_over };

// The WAL with the highest number.
fs::path wal_in(const fs::path& directory) {
  fs::path newest;
  for (const auto& entry : fs::directory_iterator{directory}) {
    const auto number = infra::wal_number_of(entry.path());
    if (number && (newest.empty() || number > infra::wal_number_of(newest))) newest = entry.path();
  }
  return newest;
}

std::string content_of(const fs::path& file) {
  std::ifstream stream{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{stream}, {}};
}

ino_t inode_of(const fs::path& file) {
  struct stat status{};
  return stat(file.c_str(), &status) == 0 ? status.st_ino : 0;
}

// Copies a log as it is on the disk while it is open and nobody appends: what RocksDB does by
// itself meanwhile has an end.
void copy_open_log(const fs::path& from, const fs::path& to) {
  const auto files = [&] {
    std::set<std::tuple<std::string, ino_t, std::uintmax_t>> found;
    for (const auto& entry : fs::directory_iterator{from}) {
      found.emplace(entry.path().filename(), inode_of(entry.path()), entry.file_size());
    }
    return found;
  };
  const bool copied = eventually(
      [&] {
        try {
          const auto before = files();
          fs::remove_all(to);
          fs::copy(from, to, fs::copy_options::recursive);
          return before == files();
        } catch (const fs::filesystem_error&) {
          return false;  // a file has gone
        }
      },
      std::chrono::seconds{30});
  ASSERT_TRUE(copied) << from;
}

// A log that is written to, and copied as it is on the disk meanwhile.
class WalWriter {
 public:
  explicit WalWriter(fs::path directory)
      : directory_(std::move(directory)), log_(infra::open_embedded_event_log(directory_)) {
    event_.event = domain::WriterClaimed{"w"};
    claim_ = log_->claim(0, event_);
  }

  void append(std::size_t records, std::size_t bytes) {
    std::vector<domain::RecordedEvent> batch(records, event_);
    for (auto& one : batch) {
      one.event = domain::ApiKeyRevoked{std::string(bytes, 'k')};
      one.stamp = {claim_.epoch, ++sequence_};
    }
    ASSERT_EQ(log_->append(claim_, batch), infra::AppendResult::committed);
  }
  // Until its WAL is a file that was another one before.
  void append_until_a_wal_is_written_over() {
    std::set<ino_t> files;
    fs::path wal;
    for (std::size_t i = 0; i < fillings_max; ++i) {
      append(1, filling_bytes);
      if (wal == wal_in(directory_)) continue;
      wal = wal_in(directory_);
      if (!files.insert(inode_of(wal)).second) return;
    }
    FAIL() << "no WAL was written over";
  }
  infra::EmbeddedEventLog& log() { return *log_; }

 private:
  const fs::path directory_;
  const std::unique_ptr<infra::EmbeddedEventLog> log_;
  domain::RecordedEvent event_;
  infra::Claim claim_;
  std::uint64_t sequence_ = 0;
};

// After so many reads of that file, one fails.
class FailingDisk final : public rocksdb::FileSystemWrapper {
 public:
  FailingDisk(fs::path file, int reads)
      : rocksdb::FileSystemWrapper(rocksdb::FileSystem::Default()),
        file_(std::move(file)),
        reads_left_(reads) {}

  const char* Name() const override { return "failing disk"; }
  bool failed() const { return reads_left_ < 0; }

  rocksdb::IOStatus NewRandomAccessFile(const std::string& name,
                                        const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                                        rocksdb::IODebugContext* context) override {
    const auto status = target()->NewRandomAccessFile(name, options, result, context);
    if (status.ok() && fs::path{name} == file_) {
      *result = std::make_unique<File>(std::move(*result), reads_left_);
    }
    return status;
  }

 private:
  class File final : public rocksdb::FSRandomAccessFileOwnerWrapper {
   public:
    File(std::unique_ptr<rocksdb::FSRandomAccessFile> file, int& reads_left)
        : rocksdb::FSRandomAccessFileOwnerWrapper(std::move(file)), reads_left_(reads_left) {}

    rocksdb::IOStatus Read(std::uint64_t offset, std::size_t count,
                           const rocksdb::IOOptions& options, rocksdb::Slice* result, char* scratch,
                           rocksdb::IODebugContext* context) const override {
      if (reads_left_-- == 0) return rocksdb::IOStatus::IOError("this sector is bad");
      return rocksdb::FSRandomAccessFileOwnerWrapper::Read(offset, count, options, result, scratch,
                                                           context);
    }

   private:
    int& reads_left_;
  };

  const fs::path file_;
  int reads_left_;
};

class WalCheck : public testing::TestWithParam<Wal> {
 protected:
  // A log of a claim and `batches` batches, as it is on the disk while it is open; some of them
  // longer than a block.
  WalCheck() {
    WalWriter writer{directory_.path() / "log"};
    if (GetParam() == Wal::written_over) writer.append_until_a_wal_is_written_over();
    for (std::size_t i = 0; i < batches; ++i) {
      end_before_last_ = writer.log().end_offset(0);
      writer.append(1 + random_.below(3), random_.one_in(4) ? 50'000 : 1 + random_.below(900));
    }
    end_ = writer.log().end_offset(0);
    copy_open_log(directory_.path() / "log", original());
  }

  fs::path original() const { return directory_.path() / "original"; }
  fs::path crashed() const { return directory_.path() / "crashed"; }
  // How many bytes of the WAL are its own.
  std::uint64_t written() const {
    std::unique_ptr<rocksdb::SequentialFile> wal;
    EXPECT_TRUE(infra::following_wals()->NewSequentialFile(wal_in(original()), &wal, {}).ok());
    std::string space(1U << 16U, '\0');
    rocksdb::Slice read;
    std::uint64_t bytes = 0;
    do {
      EXPECT_TRUE(wal->Read(space.size(), &read, space.data()).ok());
      bytes += read.size();
    } while (!read.empty());
    return bytes;
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

TEST_P(WalCheck, LetsAWholeLogPass) {
  copy_anew();
  EXPECT_EQ(end_when_opened(), end_);
}

// The manifest says which one there is at least: not of the first one that a log has, nor of one
// that was begun while what the one before has is still being written into a table.
TEST_P(WalCheck, RefusesALogWithoutItsNewestWal) {
  copy_anew();
  infra::open_embedded_event_log(crashed());
  fs::remove(wal_in(crashed()));
  EXPECT_EQ(end_when_opened(), std::nullopt);
  EXPECT_THROW(infra::open_embedded_log_reader(crashed()), infra::LogUnavailable);
}

// A read that fails is no end of a WAL: a log opens whole, or not at all, and then as it was.
TEST_P(WalCheck, IsRefusedAsLongAsItCanNotBeRead) {
  bool failed = true;
  int refused = 0;
  for (int reads = 0; failed; reads += GetParam() == Wal::new_file ? 1 : 41) {
    copy_anew();
    const auto disk = std::make_shared<FailingDisk>(wal_in(crashed()), reads);
    const auto env = rocksdb::NewCompositeEnv(disk);
    try {
      EXPECT_EQ(infra::open_embedded_event_log(crashed(), env.get())->end_offset(0), end_) << reads;
    } catch (const infra::LogUnavailable&) {
      ++refused;
      EXPECT_EQ(end_when_opened(), end_) << reads;
    }
    failed = disk->failed();
  }
  // Each read was tried where the file is small.
  EXPECT_TRUE(refused > 0 || GetParam() == Wal::written_over);
}

// Only the last write may be missing from a log that opens.
TEST_P(WalCheck, RefusesALogThatWouldForgetAcknowledgedRecords) {
  const int flips = GetParam() == Wal::new_file ? 60 : 15;  // of a small file, or of large ones
  const std::uint64_t bytes = written();
  int refused = 0;
  for (int i = 0; i < flips; ++i) {
    copy_anew();
    const std::size_t at = random_.below(bytes);
    const auto bit = static_cast<unsigned>(random_.below(8));
    flip(at, bit);
    const auto end = end_when_opened();
    refused += end ? 0 : 1;
    EXPECT_TRUE(!end || end == end_ || end == end_before_last_)
        << "byte " << at << ", bit " << bit << ": the log ends at " << *end << " of " << end_;
  }
  EXPECT_GT(refused, flips / 2);
}

// A write that was under way when the power went, however far it came: its end missing, or in its
// stead nothing, or what was there before.
TEST_P(WalCheck, LetsATornLastWritePass) {
  const std::size_t whole = written();
  for (int i = 0; i < 12; ++i) {
    copy_anew();
    const std::size_t torn = 1 + random_.below(100);  // less than the smallest write
    if (GetParam() == Wal::written_over && random_.one_in(2)) {
      for (std::size_t byte = whole - torn; byte < whole; ++byte) flip(byte, 1);
    } else {
      fs::resize_file(wal_in(crashed()), whole - torn);
      if (random_.one_in(2)) fs::resize_file(wal_in(crashed()), whole + random_.below(100'000));
    }
    const auto end = end_when_opened();
    ASSERT_TRUE(end) << torn;
    EXPECT_EQ(end, end_before_last_) << torn;
  }
}

// Nothing of an older WAL is taken for the newer one's; who reads beside the writer sees what it
// appends, as soon as it is appended.
TEST_P(WalCheck, IsFollowedByAReaderBesideTheWriter) {
  WalWriter writer{directory_.path() / "followed"};
  if (GetParam() == Wal::written_over) writer.append_until_a_wal_is_written_over();
  const auto reader = infra::open_embedded_log_reader(directory_.path() / "followed");
  for (std::size_t i = 0; i < batches; ++i) {
    const std::uint64_t end = writer.log().end_offset(0);
    writer.append(1 + random_.below(3), random_.one_in(4) ? 50'000 : 1 + random_.below(900));
    ASSERT_TRUE(reader->wait(0, end, std::chrono::seconds{10}));
    EXPECT_EQ(reader->read(0, end, batches).next_offset, writer.log().end_offset(0));
  }
}

// RocksDB links what it thinks won't change any more.
TEST_P(WalCheck, LeavesACopyAsItWas) {
  WalWriter writer{directory_.path() / "copied"};
  if (GetParam() == Wal::written_over) writer.append_until_a_wal_is_written_over();
  std::jthread appending{[&](const std::stop_token& stop) {
    while (!stop.stop_requested()) writer.append(1, filling_bytes);
  }};
  std::vector<std::uint64_t> ends;
  constexpr std::size_t copies = 4;
  for (std::size_t i = 0; i < copies; ++i) {
    const fs::path copy = directory_.path() / ("copy" + std::to_string(i));
    writer.log().copy_to(copy);
    ends.push_back(infra::open_embedded_log_reader(copy)->end_offset(0));
  }
  appending.request_stop();
  appending.join();
  if (GetParam() == Wal::written_over) {
    for (int i = 0; i < 3; ++i) writer.append_until_a_wal_is_written_over();
  }
  for (std::size_t i = 0; i < copies; ++i) {
    const fs::path copy = directory_.path() / ("copy" + std::to_string(i));
    EXPECT_EQ(infra::open_embedded_event_log(copy)->end_offset(0), ends[i]) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(, WalCheck, testing::Values(Wal::new_file, Wal::written_over),
                         [](const auto& wal) {
                           return wal.param == Wal::new_file ? "NewFile" : "WrittenOver";
                         });

// To where files can't be linked, unless that is where temporary files are, too.
TEST(WrittenOverWals, AreCopiedToAnotherFileSystem) {
  const TemporaryDirectory directory;
  WalWriter writer{directory.path() / "log"};
  writer.append_until_a_wal_is_written_over();
  writer.append(3, 500);
  const fs::path elsewhere = fs::path{"/dev/shm"} / directory.path().filename();
  fs::create_directory(elsewhere);
  for (const char* name : {"first", "second"}) {
    writer.log().copy_to(elsewhere / name);
    EXPECT_EQ(infra::open_embedded_event_log(elsewhere / name)->end_offset(0),
              writer.log().end_offset(0));
    EXPECT_FALSE(fs::exists(directory.path() / "log.copy"));
  }
  fs::remove_all(elsewhere);
}

// While WALs are written over, renamed and moved into tables.
TEST(WrittenOverWals, CanBeOpenedBesideTheWriterAtAnyTime) {
  const TemporaryDirectory directory;
  WalWriter writer{directory.path()};
  writer.append_until_a_wal_is_written_over();
  std::jthread appending{[&](const std::stop_token& stop) {
    while (!stop.stop_requested()) writer.append(1, filling_bytes / 4);
  }};
  constexpr int openings = 5;
  constexpr std::uint64_t newest = 100;
  for (int i = 0; i < openings; ++i) {
    const std::uint64_t end = writer.log().end_offset(0);
    const auto reader = infra::open_embedded_log_reader(directory.path());
    EXPECT_GE(reader->end_offset(0), end);
    for (std::uint64_t next = end - std::min(end, newest); next < end;) {
      const std::uint64_t read = reader->read(0, next, newest).next_offset;
      ASSERT_GT(read, next);
      next = read;
    }
  }
}

// A WAL that RocksDB hasn't deleted yet may be damaged: nobody needs it.
TEST(WalGaps, DoNotMatterWhereATableHasTheRecords) {
  const TemporaryDirectory directory;
  const fs::path log = directory.path() / "log";
  const fs::path crashed = directory.path() / "crashed";
  fs::path done;
  std::string bytes;
  {
    WalWriter writer{log};
    for (std::size_t i = 0; i < batches; ++i) writer.append(2, 500);
    done = wal_in(log).filename();
    bytes = content_of(log / done);
  }
  bytes[bytes.size() / 2] ^= 1;
  WalWriter writer{log};  // has put all of it into a table
  writer.append(2, 500);
  copy_open_log(log, crashed);
  ASSERT_FALSE(fs::exists(crashed / done));
  std::ofstream{crashed / done, std::ios::binary} << bytes;

  const auto gaps = infra::find_wal_gaps(crashed);
  ASSERT_EQ(gaps.size(), 1U);
  EXPECT_EQ(gaps[0].file, crashed / done);
  EXPECT_EQ(infra::open_embedded_event_log(crashed)->end_offset(0), writer.log().end_offset(0));
}

// One that a crash would have cut off, if the next one didn't go on behind it.
TEST(WalGaps, AreFoundBetweenTwoFiles) {
  const TemporaryDirectory directory;
  const fs::path log = directory.path() / "log";
  const fs::path crashed = directory.path() / "crashed";
  WalWriter writer{log};
  const fs::path first = wal_in(log);
  writer.append(1, filling_bytes);
  while (wal_in(log) == first) writer.append(1, filling_bytes);
  fs::create_directory(crashed);
  fs::copy(wal_in(log), crashed);
  std::ofstream{crashed / first.filename(), std::ios::binary}
      << content_of(first).substr(0, filling_bytes / 2);

  const auto gaps = infra::find_wal_gaps(crashed);
  ASSERT_EQ(gaps.size(), 1U);
  EXPECT_EQ(gaps[0].file, crashed / first.filename());
  EXPECT_EQ(gaps[0].last_offset, writer.log().end_offset(0) - 2);  // the newest has one record
}

// A write may begin in the last bytes of a block, with less of it than says which record it is.
TEST(WalGaps, AreNoneInAWholeLogHoweverItsWritesLie) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  const TemporaryDirectory directory;
  WalWriter writer{directory.path()};
  constexpr int writes = 4000;
  for (int i = 0; i < writes; ++i) writer.append(1, 1 + random.below(250));
  EXPECT_TRUE(infra::find_wal_gaps(directory.path()).empty());
}

// The first WAL that no table has the records of: as RocksDB says nothing of it.
TEST(WalGaps, AreFoundBeforeTheFirstRecord) {
  const TemporaryDirectory directory;
  const fs::path log = directory.path() / "log";
  const fs::path crashed = directory.path() / "crashed";
  fs::path first;
  {
    WalWriter writer{log};
    writer.append(2, 500);
    first = wal_in(log).filename();
    copy_open_log(log, crashed);  // all of it is in the WAL
  }
  WalWriter writer{log};
  writer.append(2, 500);
  fs::copy(wal_in(log), crashed);
  const std::string bytes = content_of(crashed / first);
  for (const std::string& damaged : {std::string{}, std::string(bytes.size(), '\0')}) {
    std::ofstream{crashed / first, std::ios::binary} << damaged;
    EXPECT_THROW(infra::open_embedded_event_log(crashed), infra::LogUnavailable);
    EXPECT_THROW(infra::open_embedded_log_reader(crashed), infra::LogUnavailable);
  }
  fs::remove(crashed / first);
  EXPECT_THROW(infra::open_embedded_event_log(crashed), infra::LogUnavailable);
  std::ofstream{crashed / first, std::ios::binary} << bytes;
  EXPECT_EQ(infra::open_embedded_event_log(crashed)->end_offset(0), writer.log().end_offset(0));
}

TEST(WalGaps, AreNoneWhereThereIsNothing) {
  const TemporaryDirectory directory;
  EXPECT_TRUE(infra::find_wal_gaps(directory.path() / "nowhere").empty());
}

}  // namespace
}  // namespace contactd::test

// One flipped bit in a file of the log or of the projections: `contactd verify` or a start finds
// it, or it lies where nothing is kept; and what is served meanwhile is the truth or nothing.

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>

#include "infra/embedded_event_log.hpp"
#include "infra/log_audit.hpp"
#include "infra/projector.hpp"
#include "infra/store_audit.hpp"
#include "projections/binary.hpp"
#include "tests/domain/samples.hpp"
#include "tests/support/fold_rest.hpp"
#include "tests/system/some_contacts.hpp"

namespace contactd::test {
namespace {

namespace fs = std::filesystem;
using projections::Table;

constexpr int contacts = 60;
constexpr int places_in_every_run = 40;

int places() {
  const char* given = std::getenv("CONTACTD_FLIPS");
  return given == nullptr ? places_in_every_run : std::atoi(given);
}

using Rows = std::map<std::pair<Table, std::string>, std::string>;

struct Truth {
  std::string head;
  Rows rows;
};

Rows rows_of(const infra::ReadStore& store) {
  Rows rows;
  store.visit_all([&](Table table, std::string_view key, std::string_view value) {
    rows.emplace(std::pair{table, std::string{key}}, value);
  });
  return rows;
}

std::string head_of(const fs::path& data) {
  const auto log = infra::open_embedded_log_reader(data / "log");
  const auto head = infra::audit_chain(*log, 0, {}, [](std::uint64_t) {}).head;
  return head ? to_string(*head) : "";
}

Truth truth_of(const fs::path& data) {
  return {head_of(data), rows_of(*infra::open_read_store(data / "projections"))};
}

// MANIFEST-000005: log/MANIFEST; 000012.sst: log/.sst
std::string kind_of(const fs::path& file) {
  const std::string name = file.filename().string();
  const std::string folder = file.parent_path().filename().string() + '/';
  for (const char* known : {".log", ".sst"}) {
    if (name.ends_with(known)) return folder + known;
  }
  return folder + name.substr(0, name.find_first_of("-."));
}

class BitFlips : public testing::Test {
 protected:
  BitFlips() {
    ServerProcess server{{{"--log", "embedded"}, {}}};
    write_some_contacts(server, contacts);
    server.stop();
    fs::copy(server.data_dir(), original(), fs::copy_options::recursive);
    truth_ = truth_of(original());
    for (const auto& entry : fs::recursive_directory_iterator{original()}) {
      if (!entry.is_regular_file() || entry.file_size() == 0) continue;
      if (entry.path().parent_path() == original()) continue;  // neither log nor projections
      files_[kind_of(entry.path())].push_back(fs::relative(entry.path(), original()));
    }
  }
  fs::path original() const { return directory_.path() / "original"; }
  fs::path copy() const { return directory_.path() / "copy"; }

  // Flips a bit of a file of this kind, in a fresh copy. Returns where.
  std::string flip(const std::string& kind) {
    fs::remove_all(copy());
    fs::copy(original(), copy(), fs::copy_options::recursive);
    const fs::path file = random_.pick(files_.at(kind));
    std::fstream stream{copy() / file, std::ios::in | std::ios::out | std::ios::binary};
    const std::size_t at = random_.below(fs::file_size(copy() / file));
    const unsigned bit = static_cast<unsigned>(random_.below(8));
    stream.seekg(static_cast<std::streamoff>(at));
    const int byte = stream.get();
    stream.seekp(static_cast<std::streamoff>(at));
    stream.put(static_cast<char>(static_cast<unsigned char>(byte) ^ (1U << bit)));
    return file.string() + ", byte " + std::to_string(at) + ", bit " + std::to_string(bit);
  }

  bool verify_finds_it() const {
    const Finished done =
        run_program({contactd_binary(), "verify", "--data-dir", copy().string(), "--json"});
    EXPECT_TRUE(done.status == exited(0) || done.status == exited(1)) << done.status << done.err;
    return done.status != exited(0);
  }

  // Does what a start does, and reads every row as a request would. Each is the truth, or can't be
  // read. Returns whether the start, or one of the reads, has found that something is wrong.
  bool start_finds_it() const {
    try {
      const auto log = infra::open_embedded_event_log(copy() / "log");
      const auto store = infra::open_read_store(copy() / "projections");
      const bool too_short = log->end_offset(0) < store->checkpoint(0).next_offset;
      if (!too_short) {
        infra::Metrics metrics;
        infra::Projector projector{0, *log, *store, metrics};
        fold_rest(projector);
      }
      return too_short | !reads_are_true(*store);
    } catch (const std::exception&) {
      return true;
    }
  }
  bool reads_are_true(const infra::ReadStore& store) const {
    bool all_read = true;
    for (const auto& [place, value] : truth_.rows) {
      try {
        const auto row = store.get(place.first, place.second);
        EXPECT_EQ(row, value) << "served in table " << projections::name_of(place.first);
      } catch (const std::exception&) {
        all_read = false;
      }
    }
    return all_read;
  }
  bool is_the_truth() const {
    const Truth now = truth_of(copy());
    return now.head == truth_.head && now.rows == truth_.rows;
  }

  const std::uint64_t seed_ = test_seed();
  const testing::ScopedTrace trace_{__FILE__, __LINE__, seed_note(seed_)};
  Random random_{seed_};
  const TemporaryDirectory directory_;
  Truth truth_;
  std::map<std::string, std::vector<fs::path>> files_;  // by kind
};

TEST_F(BitFlips, AreFoundOrHarmlessAndNeverServed) {
  flip("log/.log");
  fs::remove_all(copy());
  fs::copy(original(), copy(), fs::copy_options::recursive);
  ASSERT_FALSE(verify_finds_it()) << "nothing was flipped yet";
  ASSERT_FALSE(start_finds_it()) << "nothing was flipped yet";

  std::map<std::string, std::array<int, 3>>
      counts;  // by kind: by verify, by a start alone, neither
  auto kind = files_.begin();
  for (int place = 0; place < places(); ++place) {
    const std::string where = flip(kind->first);
    SCOPED_TRACE(where);
    const bool verify = verify_finds_it();
    const bool start = start_finds_it();
    if (!verify && !start) {
      EXPECT_TRUE(is_the_truth());
    }
    ++counts[kind->first][verify ? 0 : start ? 1 : 2];
    if (++kind == files_.end()) kind = files_.begin();
  }
  for (const auto& [name, count] : counts) {
    std::printf("%-28s found by verify %3d, by a start alone %3d, harmless %3d\n", name.c_str(),
                count[0], count[1], count[2]);
  }
  for (const char* must : {"log/.log", "log/.sst", "projections/.sst"}) {
    EXPECT_EQ(counts.count(must), 1U) << must << ": none tried";
  }
}

}  // namespace
}  // namespace contactd::test

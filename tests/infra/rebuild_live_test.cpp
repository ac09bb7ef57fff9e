#include <fstream>
#include <thread>

#include "infra/errors.hpp"
#include "infra/projections_dir.hpp"
#include "infra/rebuild.hpp"
#include "infra/swappable_read_store.hpp"
#include "tests/infra/writer_fixture.hpp"

// Building the projections anew beside those that are in use, and putting them in their place.
namespace contactd::test {
namespace {

using namespace contactd::infra;

class LiveRebuild : public WriterTest {
 protected:
  void SetUp() override {
    settle_projections_dir(data_dir());
    open();
    store_.reset();
    auto swappable = std::make_unique<SwappableReadStore>(open_read_store(store_path()));
    live_ = swappable.get();
    store_ = std::move(swappable);
    start();
  }
  std::filesystem::path data_dir() const { return directory_.path(); }

  bool rebuild(const std::stop_token& stop = {}) {
    Writer* const writers[] = {writer_.get()};
    return rebuild_projections(
        log_->real(), writers, *live_, data_dir(),
        [this](std::uint64_t done, std::uint64_t) { progress_ = done; }, stop);
  }
  // None is another one's with zeros behind it, as contact_id() would have them.
  static std::string name_of(int number) { return "c" + std::to_string(number) + "x"; }
  std::size_t directories() const {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(data_dir())) {
      if (entry.is_directory()) ++count;
    }
    return count;
  }

  SwappableReadStore* live_ = nullptr;
  std::atomic<std::uint64_t> progress_ = 0;
};

TEST_F(LiveRebuild, GoesOnWhileCommandsAreDecided) {
  for (int i = 0; i < 50; ++i) run(create(name_of(i).c_str()));
  std::atomic<bool> done = false;
  std::atomic<int> written = 0;
  std::thread client{[&] {
    for (int i = 0; !done; ++i) {
      const std::string name = name_of(i % 50);
      const std::string value = std::to_string(i);
      const auto outcome = run(update(name.c_str(), {set(domain::Field::company, value)}));
      EXPECT_TRUE(is<projections::ContactAnswer>(outcome));
      // What was acknowledged is read, from whichever it is.
      const auto seen = stored(name.c_str());
      ASSERT_NE(seen, nullptr);
      EXPECT_EQ(seen->contact[domain::Field::company].unquoted(), value);
      ++written;
    }
  }};
  for (int round = 0; round < 5; ++round) {
    const ReadStore* before = live_->current();
    EXPECT_TRUE(rebuild());
    EXPECT_NE(live_->current(), before);
    const int so_far = written;
    test::wait_until([&] { return written > so_far + 20; }, "nothing is written any more");
  }
  done = true;
  client.join();
  EXPECT_EQ(lines_of(*store_), folded_anew());
  EXPECT_GT(progress_, 0U);
  EXPECT_EQ(directories(), 2U);  // the log, and the projections that hold
}

TEST_F(LiveRebuild, ARestartFindsWhatWasRebuilt) {
  run(create("ann", "ann@x.io"));
  ASSERT_TRUE(rebuild());
  run(update("ann", {set(domain::Field::company, "Acme")}));
  const auto before = lines_of(*store_);
  EXPECT_NE(projections_dir(data_dir()), store_path());
  stop();
  settle_projections_dir(data_dir());
  EXPECT_EQ(projections_dir(data_dir()), store_path());
  EXPECT_EQ(directories(), 2U);
  open();
  EXPECT_EQ(lines_of(*store_), before);
}

TEST_F(LiveRebuild, StoppedItLeavesAllAsItWas) {
  run(create("ann", "ann@x.io"));
  std::stop_source stop;
  stop.request_stop();
  const ReadStore* before = live_->current();
  EXPECT_FALSE(rebuild(stop.get_token()));
  EXPECT_EQ(live_->current(), before);
  EXPECT_EQ(projections_dir(data_dir()), store_path());
  EXPECT_EQ(directories(), 2U);
}

TEST(ProjectionsDirectory, IsSettledWhereverACrashLeftIt) {
  const auto make = [](const std::filesystem::path& directory, const char* what) {
    std::filesystem::create_directories(directory);
    std::ofstream{directory / "what"} << what;
  };
  const auto settled = [](const std::filesystem::path& data_dir) {
    settle_projections_dir(data_dir);
    EXPECT_EQ(projections_dir(data_dir), data_dir / "projections");
    EXPECT_FALSE(std::filesystem::exists(data_dir / "projections-1"));
    std::string what;
    std::ifstream{data_dir / "projections" / "what"} >> what;
    return what;
  };
  {  // while it was built
    const TemporaryDirectory data;
    make(data.path() / "projections", "old");
    make(new_projections_dir(data.path()), "half");
    EXPECT_EQ(settled(data.path()), "old");
  }
  {  // once it held
    const TemporaryDirectory data;
    make(data.path() / "projections", "old");
    const auto built = new_projections_dir(data.path());
    make(built, "new");
    hold_projections_dir(data.path(), built);
    EXPECT_EQ(projections_dir(data.path()), built);
    EXPECT_EQ(settled(data.path()), "new");
  }
  {  // while it was settled, the old one gone
    const TemporaryDirectory data;
    const auto built = new_projections_dir(data.path());
    make(built, "new");
    hold_projections_dir(data.path(), built);
    EXPECT_EQ(settled(data.path()), "new");
  }
  {  // while it was settled, and the new one renamed
    const TemporaryDirectory data;
    make(data.path() / "projections", "new");
    std::ofstream{data.path() / "projections.current"} << "projections-1\n";
    EXPECT_EQ(settled(data.path()), "new");
  }
}

}  // namespace
}  // namespace contactd::test

// What a rebuild of the projections is measured beside: the same embedded log, read and thrown
// away. `read` takes the records' bytes from RocksDB and nothing else; `decode` takes the events
// by the log's own interface; `fold` folds them into projections of their own, for a profiler. Each
// prints one line of JSON. The log must not be in use.

#include <rocksdb/db.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <exception>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>

#include "infra/embedded_event_log.hpp"
#include "infra/fold_log.hpp"
#include "infra/read_store.hpp"

namespace {

using namespace contactd;
using Clock = std::chrono::steady_clock;

constexpr std::size_t readahead_bytes = 2U << 20U;
constexpr std::size_t slice_records = 1024;

struct Counted {
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
};

void print(const Counted& counted, Clock::duration took) {
  const double seconds = std::chrono::duration<double>(took).count();
  std::cout << "{\"records\":" << counted.records << ",\"bytes\":" << counted.bytes
            << ",\"seconds\":" << seconds
            << ",\"rate\":" << static_cast<double>(counted.records) / seconds << "}\n";
}

void read(const std::string& log) {
  rocksdb::DB* opened = nullptr;
  const auto status = rocksdb::DB::OpenForReadOnly({}, log, &opened);
  const std::unique_ptr<rocksdb::DB> db{opened};
  if (!status.ok()) throw std::runtime_error(status.ToString());
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  options.readahead_size = readahead_bytes;
  const auto started = Clock::now();
  Counted counted;
  const std::unique_ptr<rocksdb::Iterator> at{db->NewIterator(options)};
  for (at->SeekToFirst(); at->Valid(); at->Next()) {
    ++counted.records;
    counted.bytes += at->value().size();
  }
  if (!at->status().ok()) throw std::runtime_error(at->status().ToString());
  print(counted, Clock::now() - started);
}

void decode(const std::string& directory) {
  const auto log = infra::open_embedded_event_log(directory);
  const auto started = Clock::now();
  Counted counted;
  for (std::uint64_t from = 0; from < log->end_offset(0);) {
    const infra::LogSlice slice = log->read(0, from, slice_records);
    counted.records += slice.entries.size();
    from = slice.next_offset;
  }
  print(counted, Clock::now() - started);
}

void fold(const std::string& directory, const std::string& projections) {
  const auto log = infra::open_embedded_event_log(directory);
  const auto store = infra::open_read_store(projections);
  const std::uint64_t from = store->checkpoint(0).next_offset;
  const std::uint64_t end = log->end_offset(0);
  const auto started = Clock::now();
  infra::fold_log(*log, 0, *store, end, [](std::uint64_t) {});
  store->flush();
  print({end - from, 0}, Clock::now() - started);
}

}  // namespace

int main(int argc, char** argv) try {
  std::string log;
  std::string projections;
  CLI::App app("Reads, decodes or folds an embedded log.");
  app.require_subcommand(1);
  CLI::App& reading = *app.add_subcommand("read", "take the bytes and throw them away");
  CLI::App& decoding = *app.add_subcommand("decode", "take the events and throw them away");
  CLI::App& folding = *app.add_subcommand("fold", "fold the events");
  for (CLI::App* command : {&reading, &decoding, &folding}) {
    command->add_option("--log", log, "the log's directory")->required();
  }
  folding.add_option("--projections", projections, "the directory to fold into")->required();
  CLI11_PARSE(app, argc, argv);
  if (reading.parsed()) read(log);
  if (decoding.parsed()) decode(log);
  if (folding.parsed()) fold(log, projections);
  return 0;
} catch (const std::exception& error) {
  std::cerr << "bench_replay: " << error.what() << '\n';
  return 1;
}

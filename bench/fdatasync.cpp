// Peer (b) of the benchmark: what one durable write costs on this disk. Appends records of the size
// of an event, each followed by fdatasync, to a file that grows and to one that was written full
// beforehand, and prints the latencies as one line of JSON.

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <exception>
#include <iostream>
#include <string>
#include <system_error>
#include <vector>

namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

// A new file that is removed when this ends.
class ScratchFile {
 public:
  explicit ScratchFile(const std::string& directory) : path_(directory + "/bench-fdatasync.tmp") {
    descriptor_ = ::open(path_.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (descriptor_ < 0) fail("cannot create " + path_);
  }
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;
  ~ScratchFile() {
    ::close(descriptor_);
    ::unlink(path_.c_str());
  }

  void write(const std::string& bytes) {
    if (::write(descriptor_, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
      fail("cannot write " + path_);
  }
  void sync_data() {
    if (::fdatasync(descriptor_) != 0) fail("cannot sync " + path_);
  }
  void sync_all() {
    if (::fsync(descriptor_) != 0) fail("cannot sync " + path_);
  }
  void rewind() {
    if (::lseek(descriptor_, 0, SEEK_SET) < 0) fail("cannot rewind " + path_);
  }

 private:
  std::string path_;
  int descriptor_ = -1;
};

using Microseconds = std::vector<double>;

Microseconds append(ScratchFile& file, const std::string& record, std::size_t count) {
  Microseconds latencies;
  latencies.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto start = std::chrono::steady_clock::now();
    file.write(record);
    file.sync_data();
    latencies.push_back(
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
            .count());
  }
  return latencies;
}

void print(const char* name, Microseconds latencies) {
  std::ranges::sort(latencies);
  const auto last = static_cast<double>(latencies.size() - 1);
  std::cout << '"' << name << "\":{\"p50_us\":" << latencies[static_cast<std::size_t>(last * 0.5)]
            << ",\"p99_us\":" << latencies[static_cast<std::size_t>(last * 0.99)] << '}';
}

void run(const std::string& directory, std::size_t count, std::size_t bytes) {
  const std::string record(bytes, 'e');
  Microseconds growing;
  {
    ScratchFile file(directory);
    file.sync_all();
    growing = append(file, record, count);
  }
  Microseconds preallocated;
  {
    ScratchFile file(directory);
    for (std::size_t i = 0; i < count; ++i) file.write(record);
    file.sync_all();
    file.rewind();
    preallocated = append(file, record, count);
  }
  std::cout << "{\"records\":" << count << ",\"bytes\":" << bytes << ',';
  print("growing", std::move(growing));
  std::cout << ',';
  print("preallocated", std::move(preallocated));
  std::cout << "}\n";
}

}  // namespace

int main(int argc, char** argv) try {
  std::string directory = ".";
  std::size_t count = 5000;
  std::size_t bytes = 600;
  CLI::App app("Measures appends with fdatasync, one at a time.");
  app.add_option("--dir", directory, "directory on the disk to measure");
  app.add_option("--records", count, "appends a file")->check(CLI::Range(1, 10000000));
  app.add_option("--bytes", bytes, "bytes a record")->check(CLI::Range(1, 1048576));
  CLI11_PARSE(app, argc, argv);
  run(directory, count, bytes);
  return 0;
} catch (const std::exception& error) {
  std::cerr << "bench_fdatasync: " << error.what() << '\n';
  return 1;
}

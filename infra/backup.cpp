#include "infra/backup.hpp"

#include <openssl/evp.h>

#include <array>
#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <vector>

#include "infra/clock.hpp"
#include "infra/durable_file.hpp"
#include "infra/errors.hpp"
#include "infra/log_identity.hpp"
#include "infra/projections_dir.hpp"
#include "infra/rocksdb_open.hpp"
#include "projections/binary.hpp"
#include "projections/checkpoint.hpp"
#include "projections/key_layout.hpp"

namespace contactd::infra {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::int64_t manifest_format = 1;
constexpr auto manifest_name = "manifest.json";
constexpr std::size_t block_bytes = 1U << 20U;

struct File {
  std::string path;  // from the backup's directory on
  std::uint64_t bytes = 0;
};

std::vector<File> files_in(const fs::path& directory) {
  std::vector<File> files;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file() || entry.path().filename() == manifest_name) continue;
    files.push_back({fs::relative(entry.path(), directory).string(), entry.file_size()});
  }
  std::sort(files.begin(), files.end(),
            [](const File& a, const File& b) { return a.path < b.path; });
  return files;
}

// Hands the file's bytes to `take`, block by block. Throws StoreUnavailable.
template <class Take>
void read_blocks(const fs::path& path, const Take& take) {
  std::ifstream stream{path, std::ios::binary};
  std::vector<char> block(block_bytes);
  while (stream) {
    stream.read(block.data(), static_cast<std::streamsize>(block.size()));
    take(std::string_view{block.data(), static_cast<std::size_t>(stream.gcount())});
  }
  if (!stream.eof()) throw StoreUnavailable("can't read " + path.string());
}

class Sha256 {
 public:
  Sha256() {
    if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1) fail();
  }
  void add(std::string_view bytes) {
    if (EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) != 1) fail();
  }
  std::string hex() {
    domain::Digest digest{};
    if (EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr) != 1) fail();
    return domain::to_hex(digest);
  }

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
  };
  [[noreturn]] static void fail() { throw StoreUnavailable("OpenSSL doesn't compute SHA-256"); }

  std::unique_ptr<EVP_MD_CTX, Free> context_{EVP_MD_CTX_new()};
};

// What is damaged in a copy is so in what it shares its files with; the copy won't be there.
void check_copy(const fs::path& copy, const fs::path& source, const std::string& advice,
                const std::stop_token& stop) {
  try {
    RocksDb::check_files(copy, stop);
  } catch (const StoreUnavailable& problem) {
    std::string told = problem.what();
    for (std::size_t at = 0; (at = told.find(copy.string(), at)) != std::string::npos;) {
      told.replace(at, copy.string().size(), source.string());
      at += source.string().size();
    }
    throw StoreUnavailable(told + advice);
  }
}

// The files were synced each; this is for the directories that they are in.
void sync_directories(const fs::path& directory) {
  for (const auto& entry : fs::recursive_directory_iterator{directory}) {
    if (entry.is_directory()) sync_to_disk(entry.path());
  }
  sync_to_disk(directory);
}

// How far the projections in the directory have folded. Changes nothing there.
std::uint64_t folded_in(const fs::path& projections, std::uint32_t partition) {
  const RocksDb db{projections, {{"default", {}}}};
  std::string record;
  const auto status = db->Get({}, slice(projections::keys::checkpoint(partition)), &record);
  if (status.IsNotFound()) return 0;
  if (!status.ok()) throw StoreUnavailable("can't read " + projections.string());
  return projections::read_checkpoint(record).next_offset;
}

std::uint64_t end_of_log_in(const fs::path& log) {
  const RocksDb db{log, {{"default", {}}}};
  const std::unique_ptr<rocksdb::Iterator> last{db->NewIterator({})};
  last->SeekToLast();
  if (!last->status().ok()) throw StoreUnavailable("can't read " + log.string());
  if (!last->Valid()) return 0;
  return projections::BinaryReader{view(last->key())}.number<std::uint64_t>() + 1;
}

json::array positions(const fs::path& directory, std::uint32_t partitions, bool with_log) {
  json::array all;
  for (std::uint32_t id = 0; id < partitions; ++id) {
    const std::uint64_t folded = folded_in(directory / "projections", id);
    json::object one{{"partition", id}, {"folded", folded}};
    if (with_log) {
      const std::uint64_t end = end_of_log_in(directory / "log");
      if (folded > end) {
        throw StoreUnavailable("the projections are ahead of the log, which has " +
                               std::to_string(end) + " records, not " + std::to_string(folded));
      }
      one["log_end"] = end;
    }
    all.push_back(std::move(one));
  }
  return all;
}

// The files with their hashes; nothing if stopped.
std::optional<json::array> hash_files(const fs::path& directory, const BytesProgress& progress,
                                      const std::stop_token& stop) {
  const std::vector<File> files = files_in(directory);
  std::uint64_t total = 0;
  std::uint64_t done = 0;
  for (const File& file : files) total += file.bytes;
  json::array listed;
  for (const File& file : files) {
    Sha256 hash;
    read_blocks(directory / file.path, [&](std::string_view block) {
      if (stop.stop_requested()) return;
      hash.add(block);
      progress(done += block.size(), total);
    });
    if (stop.stop_requested()) return std::nullopt;
    sync_to_disk(directory / file.path);
    listed.push_back(
        json::object{{"path", file.path}, {"bytes", file.bytes}, {"sha256", hash.hex()}});
  }
  return listed;
}

json::value read_manifest(const fs::path& directory) {
  errno = 0;
  std::ifstream stream{directory / manifest_name};
  if (!stream && errno == ENOENT && fs::exists(directory)) {
    throw StoreUnavailable(directory.string() + " has no " + manifest_name +
                           ": it is no backup, or one that wasn't finished");
  }
  if (!stream) {
    throw StoreUnavailable("can't read " + (directory / manifest_name).string() + ": " +
                           std::strerror(errno));
  }
  std::ostringstream text;
  text << stream.rdbuf();
  boost::system::error_code ec;
  json::value manifest = json::parse(text.str(), ec);
  const auto* object = ec ? nullptr : manifest.if_object();
  const auto* format = object == nullptr ? nullptr : object->if_contains("format");
  if (format == nullptr || *format != manifest_format || !object->contains("files") ||
      !object->at("files").is_array()) {
    throw StoreUnavailable((directory / manifest_name).string() +
                           " is damaged, or of another release");
  }
  return manifest;
}

// Copies a file of the backup, if it is as the manifest says.
void restore_file(const fs::path& from, const fs::path& to, const json::value& listed,
                  const std::function<void(std::size_t)>& progress) {
  const fs::path path{std::string{listed.at("path").as_string()}};
  for (const auto& part : path) {
    if (part == ".." || path.is_absolute()) throw StoreUnavailable("the manifest is damaged");
  }
  fs::create_directories((to / path).parent_path());
  std::ofstream out{to / path, std::ios::binary};
  Sha256 hash;
  std::uint64_t bytes = 0;
  read_blocks(from / path, [&](std::string_view block) {
    hash.add(block);
    bytes += block.size();
    out.write(block.data(), static_cast<std::streamsize>(block.size()));
    progress(block.size());
  });
  out.close();
  if (!out) throw StoreUnavailable("can't write " + (to / path).string() + "; is the disk full?");
  if (bytes != listed.at("bytes").to_number<std::uint64_t>() ||
      hash.hex() != listed.at("sha256").as_string()) {
    throw StoreUnavailable((from / path).string() +
                           " isn't as it was when the backup was made; take another backup");
  }
  sync_to_disk(to / path);
}

// In a directory that a restore has begun to fill.
fs::path unfinished_mark(const fs::path& data_dir) { return data_dir / "restore.unfinished"; }

std::string sentence_of(const std::exception& problem) {
  const auto* files = dynamic_cast<const fs::filesystem_error*>(&problem);
  if (files == nullptr) return problem.what();
  return "can't write " + files->path1().string() + ": " + files->code().message() +
         "; give a --data-dir that can be written to";
}

// Leaves a directory that was there before, with its owner and mode.
void remove_restored(const fs::path& data_dir, bool made) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(data_dir, ignored)) {
    std::error_code left;
    if (entry.path() != unfinished_mark(data_dir)) fs::remove_all(entry.path(), left);
  }
  fs::remove(unfinished_mark(data_dir), ignored);
  if (made) fs::remove(data_dir, ignored);
}

}  // namespace

bool create_backup(ReadStore& store, EmbeddedEventLog* log, std::uint32_t partitions,
                   const std::string& log_identity, const fs::path& data_dir,
                   const fs::path& directory, const BytesProgress& progress,
                   const std::stop_token& stop) {
  std::error_code ec;
  fs::create_directories(directory.parent_path(), ec);
  if (!fs::create_directory(directory, ec)) {
    throw StoreUnavailable("can't create " + directory.string() + ": " +
                           (ec ? ec.message() + "; check --backup-dir and its permissions"
                               : std::string{"it exists; give another name"}));
  }
  fs::permissions(directory, fs::perms::owner_all, ec);
  try {
    store.copy_to(directory / "projections");
    if (log != nullptr) log->copy_to(directory / "log");  // after them, so that it has all of it
    keep_log_identity(directory, log_identity);
    // A copy of damage would take the place of a backup that is good.
    check_copy(directory / "projections", projections_dir(data_dir),
               "; `contactd rebuild` makes them anew from the log", stop);
    if (log != nullptr) {
      check_copy(directory / "log", data_dir / "log", "; restore the log from an earlier backup",
                 stop);
    }
    json::array at = positions(directory, partitions, log != nullptr);
    auto files = hash_files(directory, progress, stop);
    if (!files) {
      fs::remove_all(directory);
      return false;
    }
    const json::object manifest{
        {"format", manifest_format},   {"created_at", domain::to_iso8601(system_time())},
        {"log", log_identity},         {"projections_format", projections::format_version},
        {"partitions", std::move(at)}, {"files", *std::move(files)}};
    sync_directories(directory);
    // Last of all: what has a manifest is whole.
    replace_durably(directory / manifest_name, json::serialize(manifest) + '\n');
    sync_to_disk(directory.parent_path());
    return true;
  } catch (const std::exception& problem) {
    fs::remove_all(directory, ec);
    throw StoreUnavailable(problem.what());
  }
}

bool is_unfinished_restore(const fs::path& data_dir) {
  std::error_code ignored;
  return fs::exists(unfinished_mark(data_dir), ignored);
}

void restore_backup(const fs::path& directory, const fs::path& data_dir,
                    const BytesProgress& progress) {
  const json::value manifest = read_manifest(directory);
  bool made = false;
  if (is_unfinished_restore(data_dir)) remove_restored(data_dir, made);
  std::error_code ec;
  const bool empty = fs::is_empty(data_dir, ec);
  if (ec && ec != std::errc::no_such_file_or_directory) {
    throw StoreUnavailable("can't look into " + data_dir.string() + ": " + ec.message() +
                           "; give a new directory");
  }
  if (!ec && !empty) {
    throw StoreUnavailable(data_dir.string() + " isn't empty; give a new directory");
  }
  try {
    std::uint64_t total = 0;
    std::uint64_t done = 0;
    const json::array& files = manifest.at("files").as_array();
    for (const json::value& file : files) total += file.at("bytes").to_number<std::uint64_t>();
    made = fs::create_directories(data_dir);
    // First, and removed last: files that aren't all there may look like those of a new server.
    replace_durably(unfinished_mark(data_dir), "");
    for (const json::value& file : files) {
      restore_file(directory, data_dir, file,
                   [&](std::size_t bytes) { progress(done += bytes, total); });
    }
    const json::array& at = manifest.at("partitions").as_array();
    const bool with_log = fs::exists(data_dir / "log");
    if (positions(data_dir, static_cast<std::uint32_t>(at.size()), with_log) != at) {
      throw StoreUnavailable("its positions aren't those that the manifest says");
    }
    sync_directories(data_dir);
    // Of a directory that was there the name is on the disk.
    if (made) sync_to_disk(fs::canonical(data_dir).parent_path());
    fs::remove(unfinished_mark(data_dir));
    sync_to_disk(data_dir);
  } catch (const std::exception& problem) {
    remove_restored(data_dir, made);
    throw StoreUnavailable("the backup " + directory.string() +
                           " can't be restored: " + sentence_of(problem));
  }
}

}  // namespace contactd::infra

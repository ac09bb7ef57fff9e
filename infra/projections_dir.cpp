#include "infra/projections_dir.hpp"

#include <fstream>
#include <string>

#include "infra/directory_lock.hpp"
#include "infra/durable_file.hpp"
#include "infra/errors.hpp"

namespace contactd::infra {
namespace {

namespace fs = std::filesystem;

constexpr auto settled_name = "projections";
constexpr auto pointer_name = "projections.current";
constexpr auto built_prefix = "projections-";

[[noreturn]] void fail(const fs::path& path, const std::string& why) {
  throw StoreUnavailable("can't change " + path.string() + ": " + why +
                         "; check the disk and the permissions");
}

// What the pointer names, if there is one and that is there.
fs::path pointed_to(const fs::path& data_dir) {
  std::ifstream pointer{data_dir / pointer_name};
  std::string name;
  if (!std::getline(pointer, name) || !name.starts_with(built_prefix)) return {};
  const fs::path directory = data_dir / fs::path{name}.filename();
  return fs::exists(directory) ? directory : fs::path{};
}

}  // namespace

fs::path projections_dir(const fs::path& data_dir) {
  const fs::path built = pointed_to(data_dir);
  return built.empty() ? data_dir / settled_name : built;
}

// RocksDB's lock would keep this process out of what another one has open, but not from removing
// it.
void require_unused_projections(const fs::path& data_dir) {
  const fs::path directory = projections_dir(data_dir);
  if (!is_in_use(directory)) return;
  throw StoreUnavailable("another contactd runs on " + directory.string() + "; stop it first");
}

void settle_projections_dir(const fs::path& data_dir) {
  require_unused_projections(data_dir);
  try {
    if (const fs::path built = pointed_to(data_dir); !built.empty()) {
      fs::remove_all(data_dir / settled_name);
      fs::rename(built, data_dir / settled_name);
      sync_to_disk(data_dir);
    }
    fs::remove(data_dir / pointer_name);
    for (const auto& entry : fs::directory_iterator(data_dir)) {
      if (entry.path().filename().string().starts_with(built_prefix)) fs::remove_all(entry.path());
    }
  } catch (const fs::filesystem_error& problem) {
    fail(data_dir, problem.code().message());
  }
}

fs::path new_projections_dir(const fs::path& data_dir) {
  for (int number = 1;; ++number) {
    fs::path directory = data_dir / (built_prefix + std::to_string(number));
    if (!fs::exists(directory)) return directory;
  }
}

void hold_projections_dir(const fs::path& data_dir, const fs::path& directory) {
  replace_durably(data_dir / pointer_name, directory.filename().string() + '\n');
}

}  // namespace contactd::infra

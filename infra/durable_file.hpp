#pragma once

#include <filesystem>
#include <string_view>

namespace contactd::infra {

// Returns once what a file has, or which files a directory has, would outlast a loss of power.
// Throws StoreUnavailable.
void sync_to_disk(const std::filesystem::path& path);

// Makes the file's content `text`, and syncs it; not the directory that it is in. Throws
// StoreUnavailable: then the file may have a part of it.
void write_durably(const std::filesystem::path& file, std::string_view text);
// The same, but whenever it is interrupted, the file has what it had, or all of `text`; and its
// name is durable, too. Throws StoreUnavailable.
void replace_durably(const std::filesystem::path& file, std::string_view text);

}  // namespace contactd::infra

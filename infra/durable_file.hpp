#pragma once

#include <filesystem>
#include <string_view>

namespace contactd::infra {

// Returns once what a file has, or which files a directory has, would outlast a loss of power.
// Throws StoreUnavailable.
void sync_to_disk(const std::filesystem::path& path);

// Makes the file's content `text`. Whenever it is interrupted, the file has what it had, or all of
// `text`; once it returns, content and name outlast a loss of power. Throws StoreUnavailable.
void replace_durably(const std::filesystem::path& file, std::string_view text);

}  // namespace contactd::infra

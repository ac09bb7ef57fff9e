#pragma once

#include <filesystem>

// Where the projections are: in `<data-dir>/projections`, but for the time from a rebuild beside
// them until the next start. An open database can't be renamed; so a rebuilt one stays where it
// was built, and the file `projections.current` names it, until nobody has it open.
namespace contactd::infra {

// The directory that holds.
std::filesystem::path projections_dir(const std::filesystem::path& data_dir);

// Throws StoreUnavailable if another process has it open, to read or to write.
void require_unused_projections(const std::filesystem::path& data_dir);

// Makes `<data-dir>/projections` of the one that holds, and removes all others, such as one that a
// crash has left half built. Whenever it is interrupted, the next call does the rest.
// REQUIRES: nobody has any of them open. Throws StoreUnavailable.
void settle_projections_dir(const std::filesystem::path& data_dir);

// A directory beside it for a new one; there is nothing in it.
std::filesystem::path new_projections_dir(const std::filesystem::path& data_dir);
// From here on, `directory` holds; also after a loss of power. Throws StoreUnavailable.
void hold_projections_dir(const std::filesystem::path& data_dir,
                          const std::filesystem::path& directory);

}  // namespace contactd::infra

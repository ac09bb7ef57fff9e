#pragma once

#include <filesystem>

namespace contactd::infra {

// Whether the projections' database in `directory` may have anything that was folded from a log:
// also if it can't be read, or is of another format. Nothing there is changed.
bool may_have_folded(const std::filesystem::path& directory);

}  // namespace contactd::infra

#pragma once

#include <filesystem>
#include <string>
#include <string_view>

// Projections are of one log. Which one they are of is kept in a file beside them.
namespace contactd::infra {

inline constexpr auto log_identity_name = "projections.log";
// Of any embedded log: it lies beside the projections.
inline constexpr std::string_view embedded_log_identity = "embedded";

// What the file says. Without one, the embedded log: an early release knew no other.
std::string kept_log_identity(const std::filesystem::path& data_dir);
// Throws StoreUnavailable.
void keep_log_identity(const std::filesystem::path& data_dir, std::string_view identity);

}  // namespace contactd::infra

#include "api/admin_key.hpp"

#include "api/http_grammar.hpp"
#include "api/key_file.hpp"
#include "api/limits.hpp"
#include "infra/errors.hpp"
#include "infra/log.hpp"
#include "infra/random.hpp"

namespace contactd::api {
namespace {

constexpr std::size_t made_key_length = 43;

}  // namespace

std::optional<std::string> admin_key_problem(std::string_view key) {
  if (!is_field_value(key) || trimmed(key) != key) {
    return "has a control character, or a space at an end, which no header field carries to the "
           "server";
  }
  if (key.size() >= limits::admin_key_length_min) return std::nullopt;
  return "is too short; give " + std::to_string(limits::admin_key_length_min) +
         " characters or more, random ones";  // what is short can be guessed
}

std::string admin_key(const ServeConfig& config) {
  if (!config.admin_key.empty()) return config.admin_key;
  const std::filesystem::path file = config.data_dir / "admin.key";
  // Nothing is written where a server is read-only: nobody has the key of this one.
  if (config.read_only && !std::filesystem::exists(file)) {
    spdlog::warn(
        "there is no {}, and a read-only server makes none: to use the admin API, give "
        "a key with --admin-key",
        file.string());
    return infra::random_text(made_key_length);
  }
  std::string key = read_or_make_key(file, "the admin key", made_key_length);
  if (const auto problem = admin_key_problem(key)) {
    throw infra::Unavailable("the admin key in " + file.string() + ' ' + *problem +
                             "; mend the file, or remove it: then one is made");
  }
  return key;
}

}  // namespace contactd::api

#include "infra/log_identity.hpp"

#include <fstream>

#include "infra/durable_file.hpp"

namespace contactd::infra {

std::string kept_log_identity(const std::filesystem::path& data_dir) {
  std::ifstream stream{data_dir / log_identity_name};
  std::string identity;
  if (!std::getline(stream, identity)) identity = embedded_log_identity;
  return identity;
}

void keep_log_identity(const std::filesystem::path& data_dir, std::string_view identity) {
  replace_durably(data_dir / log_identity_name, std::string{identity} + '\n');
}

}  // namespace contactd::infra

#include "api/maintenance.hpp"
#include "api/handlers/handlers.hpp"
#include "api/handlers/json_body.hpp"
#include "infra/log.hpp"

// The operator's side: long work on a running server, started here and asked after.
namespace contactd::api {
namespace {

namespace json = boost::json;

Response status_response(const Maintenance& of, int status) {
  Response response;
  response.status = status;
  response.body = R"({"data":)" + to_json(of.status()) + '}';
  return response;
}

// What refuses a request that starts something, before its body is looked at.
std::optional<Response> refuse_start(const Call& call) {
  if (auto refused = refuse_params(call)) return refused;
  return refuse_preconditions(call, "Backups and rebuilds have no ETag");
}

std::string read_name(const json::object& object, domain::ValidationErrors& errors) {
  const auto* value = object.if_contains("name");
  std::string name;
  if (value != nullptr && value->is_string()) name = std::string{value->as_string()};
  if (!is_backup_name(name)) {
    errors.add("name",
               "Expected 1 to 64 characters of A-Z, a-z, 0-9, _, - and ., the first "
               "one a letter or a digit");
  }
  return name;
}

}  // namespace

Handled start_backup(const Call& call) {
  if (auto refused = refuse_start(call)) return *std::move(refused);
  auto read = read_object(call, call.request.body, {"name"}, read_name);
  if (auto* refused = std::get_if<Response>(&read)) return std::move(*refused);
  const std::string& name = std::get<std::string>(read);
  const Operations& operations = call.services.operations;
  if (operations.has_backup(name)) {
    return error_response(
        call.format, 409,
        "There is a directory of this name among the backups; give another name, or "
        "remove it, if a crash left it unfinished: without a manifest.json");
  }
  if (!operations.start_backup(name)) {
    return error_response(call.format, 409, "A backup is under way; wait for its end");
  }
  spdlog::info("request {}: backup {} was started", call.request.request_id, name);
  return status_response(operations.backup, 202);
}

Handled backup_status(const Call& call) {
  if (auto refused = refuse_params(call)) return *std::move(refused);
  return status_response(call.services.operations.backup, 200);
}

// While one is under way, another start is the same one.
Handled start_rebuild(const Call& call) {
  if (auto refused = refuse_start(call)) return *std::move(refused);
  if (call.services.operations.start_rebuild()) {
    spdlog::info("request {}: a rebuild was started", call.request.request_id);
  }
  return status_response(call.services.operations.rebuild, 202);
}

Handled rebuild_status(const Call& call) {
  if (auto refused = refuse_params(call)) return *std::move(refused);
  return status_response(call.services.operations.rebuild, 200);
}

}  // namespace contactd::api

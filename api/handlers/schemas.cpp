#include <algorithm>

#include "api/event_schemas.hpp"
#include "api/handlers/handlers.hpp"
#include "domain/json_text.hpp"

namespace contactd::api {

Handled list_schemas(const Call& call) {
  if (auto refused = refuse_params(call)) return *std::move(refused);
  Response response;
  response.body = R"({"data":[)";
  for (const EventSchema& schema : event_schemas()) {
    if (&schema != event_schemas().data()) response.body += ',';
    response.body += R"({"type":)" + domain::json_string(schema.type) + R"(,"schema":)" +
                     domain::json_string("/schemas/" + std::string{schema.type}) + '}';
  }
  response.body += "]}";
  return response;
}

Handled get_schema(const Call& call) {
  if (auto refused = refuse_params(call)) return *std::move(refused);
  const auto schemas = event_schemas();
  const auto found = std::find_if(schemas.begin(), schemas.end(), [&](const EventSchema& schema) {
    return schema.type == call.id;
  });
  if (found == schemas.end()) {
    return error_response(call.format, 404, "No such event type; /schemas lists what there is");
  }
  Response response;
  response.content_type = "application/schema+json";
  response.body = found->text;
  return response;
}

}  // namespace contactd::api

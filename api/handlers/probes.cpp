#include "api/handlers/handlers.hpp"
#include "api/openapi_document.hpp"
#include "domain/json_text.hpp"

namespace contactd::api {
namespace {

using State = infra::Writer::Status::State;

std::string_view name_of(State state) {
  switch (state) {
    case State::folding:
      return "folding";
    case State::following:
      return "following";
    case State::serving:
      return "serving";
    case State::recovering:
      return "recovering";
    case State::stopped:
      return "stopped";
  }
  std::abort();
}

}  // namespace

Handled openapi(const Call& call) {
  if (auto refused = refuse_params(call)) return *std::move(refused);
  Response response;
  response.body = openapi_document;
  return response;
}

Handled healthz(const Call& call) {
  if (auto refused = refuse_params(call)) return *std::move(refused);
  Response response;
  response.body = R"({"status":"ok"})";
  return response;
}

Handled readyz(const Call& call) {
  if (auto refused = refuse_params(call)) return *std::move(refused);
  bool ready = call.services.partitions.is_open();
  std::string partitions;
  const auto& writers = call.services.partitions.all();
  for (std::size_t i = 0; i < writers.size(); ++i) {
    const auto status = writers[i]->status();
    const bool elsewhere =
        status.state == State::following && writers[i]->ownership() == infra::Ownership::elsewhere;
    ready = ready && (status.state == State::serving || elsewhere);
    if (i > 0) partitions += ',';
    partitions += R"({"partition":)" + std::to_string(i) + R"(,"state":")";
    partitions += name_of(status.state);
    partitions += R"(","detail":)" + domain::json_string(status.detail) + '}';
  }
  const std::string awaited = ready ? std::string{} : call.services.partitions.awaited();
  Response response;
  response.status = ready ? 200 : 503;
  response.body = std::string{R"({"status":")"} + (ready ? "ready" : "not ready") +
                  R"(","partitions":[)" + partitions + ']';
  if (!awaited.empty()) response.body += R"(,"detail":)" + domain::json_string(awaited);
  response.body += '}';
  return response;
}

Handled metrics(const Call& call) {
  if (auto refused = refuse_params(call)) return *std::move(refused);
  return SlowRead{[&metrics = call.services.metrics] {
    Response response;
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    response.body = metrics.text();
    return response;
  }};
}

}  // namespace contactd::api

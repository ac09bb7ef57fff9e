#pragma once

#include <optional>
#include <string>
#include <variant>

#include "api/http_message.hpp"
#include "api/problem.hpp"
#include "api/query.hpp"
#include "api/services.hpp"
#include "domain/commands.hpp"
#include "domain/organization/api_key.hpp"

// One function an endpoint. Each is called after the router has checked the method, the rate, the
// key, its scope and the media type. None blocks, but for the SlowRead that it may hand back.
namespace contactd::api {

struct Call {
  const Services& services;
  const Request& request;
  const Target& target;
  ErrorFormat format;
  std::optional<domain::ApiKey> key;  // where the route wants an organization's key
  std::string id;                     // what stands in the path for {id}
  std::string second_id = {};         // and for the one after it
};

// A command of the key's, or, where the route has none, of the admin's; what it comes to is to be
// rendered by the caller.
Write write_for(const Call& call, const domain::OrganizationId& organization,
                domain::Command command);
// What an outcome is told as that is no success: rejected, not taken, or not known, with how to
// find out.
Response no_success(ErrorFormat format, const infra::Outcome& outcome,
                    std::string_view how_to_find_out);

Handled get_contact(const Call& call);
Handled get_history(const Call& call);
Handled list_contacts(const Call& call);
Handled get_events(const Call& call);
Handled create_contact(const Call& call);
Handled update_contact(const Call& call);
Handled delete_contact(const Call& call);
Handled revert_contact(const Call& call);

Handled create_webhook(const Call& call);
Handled list_webhooks(const Call& call);
Handled get_webhook(const Call& call);
Handled update_webhook(const Call& call);
Handled delete_webhook(const Call& call);
Handled rotate_webhook_secret(const Call& call);
Handled list_deliveries(const Call& call);
Handled replay_delivery(const Call& call);

Handled create_key(const Call& call);
Handled list_keys(const Call& call);
Handled revoke_key(const Call& call);
Handled rotate_key(const Call& call);

Handled start_backup(const Call& call);
Handled backup_status(const Call& call);
Handled start_rebuild(const Call& call);
Handled rebuild_status(const Call& call);

Handled list_schemas(const Call& call);
Handled get_schema(const Call& call);

Handled openapi(const Call& call);
Handled healthz(const Call& call);
Handled readyz(const Call& call);
Handled metrics(const Call& call);

// What If-Match says, nothing where there is none; or the 400 that refuses it.
std::variant<std::optional<domain::Precondition>, Response> read_if_match(const Call& call);

// A 400 that names the first query parameter, if there is one; for endpoints that take none.
std::optional<Response> refuse_params(const Call& call);

// A 400 if there is an Idempotency-Key; for commands that keep no record by which a repeat could be
// told its first answer. `what` takes none; GET `listing` tells what was done.
std::optional<Response> refuse_idempotency_key(const Call& call, std::string_view what,
                                               std::string_view listing);

// A 400 if there is an If-Match or If-None-Match; for changes of what has no version. One that was
// passed over would be taken for one that held (RFC 9110, section 13.1). `why` none is taken.
std::optional<Response> refuse_preconditions(const Call& call, std::string_view why);

}  // namespace contactd::api

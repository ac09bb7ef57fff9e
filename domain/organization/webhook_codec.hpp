#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "domain/events.hpp"

// The stored form of the events about webhooks; part of event_codec.hpp, whose words hold here.
namespace contactd::domain {

inline constexpr std::string_view webhook_created = "contactd.webhook.created.v1";
inline constexpr std::string_view webhook_updated = "contactd.webhook.updated.v1";
inline constexpr std::string_view webhook_disabled = "contactd.webhook.disabled.v1";
inline constexpr std::string_view webhook_secret_rotated = "contactd.webhook.secret_rotated.v1";
inline constexpr std::string_view webhook_deleted = "contactd.webhook.deleted.v1";
inline constexpr std::string_view webhook_progressed = "contactd.webhook.progressed.v1";

void append_data(std::string& out, const WebhookCreated& event);
void append_data(std::string& out, const WebhookUpdated& event);
void append_data(std::string& out, const WebhookDisabled& event);
void append_data(std::string& out, const WebhookSecretRotated& event);
void append_data(std::string& out, const WebhookDeleted& event);
void append_data(std::string& out, const WebhookProgressed& event);

// The event of a type that is about webhooks; nothing of any other type. Throws
// std::runtime_error, with the reason, on data that append_data() couldn't have written.
std::optional<Event> read_webhook_event(std::string_view type, const boost::json::object& data);

}  // namespace contactd::domain

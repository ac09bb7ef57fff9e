#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "domain/ids.hpp"
#include "domain/instant.hpp"
#include "domain/organization/webhook_events.hpp"

namespace contactd::infra {

struct WebhookAttempt {
  domain::Instant at;
  int status = 0;       // of the answer; 0: none came
  std::string failure;  // why none came; empty if one did
  std::uint32_t took_ms = 0;
  bool by_hand = false;

  bool operator==(const WebhookAttempt&) const = default;
};

// An event on its way to an endpoint.
struct WebhookDelivery {
  enum class State : std::uint8_t { pending, delivered, given_up };

  std::uint64_t offset = 0;  // of the event; names the delivery among those of its endpoint
  domain::EventId event;
  std::string type;
  domain::ContactId contact;
  domain::Version version = 0;
  State state = State::pending;
  unsigned failed = 0;                   // attempts of the schedule
  std::vector<WebhookAttempt> attempts;  // the last ones
  domain::Instant next_attempt;          // of one that is pending

  bool operator==(const WebhookDelivery&) const = default;
};

// What became of deliveries: for people to look at, and so that a restart doesn't begin their
// schedule anew. Not in the log, hence of this process alone, and not always of the last moment
// after a loss of power.
//
// Threads: put() and remove_all() from one; the others from any.
// Errors: StoreUnavailable. A row that isn't as this release writes it is as none.
class WebhookJournal {
 public:
  static constexpr std::size_t kept_max = 1'000;   // of an endpoint, those that are pending aside
  static constexpr std::size_t attempts_max = 20;  // of a delivery

  virtual ~WebhookJournal() = default;

  virtual void put(const domain::WebhookId& webhook, const WebhookDelivery& delivery) = 0;
  virtual void remove_all(const domain::WebhookId& webhook) = 0;
  virtual std::optional<WebhookDelivery> find(const domain::WebhookId& webhook,
                                              std::uint64_t offset) const = 0;
  // At most `count` of the endpoint's, newest first; those before `before`, if it is given.
  virtual std::vector<WebhookDelivery> list(const domain::WebhookId& webhook,
                                            std::optional<std::uint64_t> before,
                                            std::size_t count) const = 0;
};

// Opens, or creates, the one in `directory`; anew, and with an error in the log, where it is
// damaged. Throws StoreUnavailable.
std::unique_ptr<WebhookJournal> open_webhook_journal(const std::filesystem::path& directory);

}  // namespace contactd::infra

#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/support/http_client.hpp"

namespace contactd::test {

// A request that may change a contact, and what is needed to judge its answer.
struct Change {
  enum class Kind {
    create,
    update,  // always changes something
    repeat,  // sets what is already set
    remove,
  };
  Kind kind = Kind::update;
  std::string request_id;  // of this change alone; also when it is sent again
  std::string contact;     // empty for a creation
  boost::json::object sets;
  std::optional<std::string> idempotency_key;
  std::optional<std::string> if_match;

  std::string method() const;
  std::string target() const;
  Headers headers() const;
  std::optional<std::string> body() const;
};

// A contact as its last answer showed it.
struct Held {
  std::uint64_t version = 0;
  std::string json;
};

// What the log must hold of a request that was answered.
struct Expected {
  std::string contact;
  std::uint64_t version = 0;  // the contact's after the change; 0 for an answer that is recorded
};

// Reads `{"data":{...}}` and the ETag. Nothing where it is no contact's answer.
std::optional<Held> held_in(const Response& response);

// Everything that the server has promised to one client, which alone changes its contacts.
class Ledger {
 public:
  // Notes what an answer promises. Returns what is wrong with it, if something is.
  std::optional<std::string> learn(const Change& change, const Response& response);

  // Whether `found` (nothing: no such contact) is the contact as if `change`, which nobody
  // answered, was never applied; or as if it was, exactly once, which is noted then. Returns what
  // is wrong if it is neither.
  std::optional<std::string> settle(const Change& change, const std::optional<Held>& found);

  const std::map<std::string, Held>& held() const { return held_; }
  const std::vector<std::string>& deleted() const { return deleted_; }
  // By request id.
  const std::map<std::string, Expected>& logged() const { return logged_; }
  const std::set<std::string>& not_logged() const { return not_logged_; }

 private:
  std::optional<std::string> learn_created(const Change& change, const Response& response);
  std::optional<std::string> learn_updated(const Change& change, const Response& response);
  std::optional<std::string> learn_refused(const Change& change, const Response& response);
  std::optional<std::string> learn_removed(const Change& change, const Response& response);
  std::optional<std::string> note_update(const Change& change, const Held& after);
  void note_removal(const Change& change);
  void note_nothing_changed(const Change& change);

  std::map<std::string, Held> held_;
  std::vector<std::string> deleted_;
  std::map<std::string, Expected> logged_;
  std::set<std::string> not_logged_;
};

}  // namespace contactd::test

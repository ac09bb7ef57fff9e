#include "api/held_answers.hpp"

namespace contactd::api {

struct HeldAnswers::Held {
  HeldAnswers& answers;
  const std::string organization;
  const std::size_t bytes;

  Held(HeldAnswers& among, std::string of, std::size_t size)
      : answers(among), organization(std::move(of)), bytes(size) {}
  ~Held() { answers.let_go(organization, bytes); }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
};

Response HeldAnswers::admit(Response response, const std::string& organization,
                            ErrorFormat format) {
  const std::size_t bytes = response.body.size();
  if (bytes <= limits_.uncounted_max) return response;
  if (!take(organization, bytes)) {
    return overloaded(format,
                      "Too much of earlier answers hasn't been taken yet; read those to their end, "
                      "ask for less at once, or try again");
  }
  response.hold = std::make_shared<const Held>(*this, organization, bytes);
  return response;
}

bool HeldAnswers::take(const std::string& organization, std::size_t bytes) {
  const std::lock_guard lock{mutex_};
  const auto found = of_one_.find(organization);
  const std::size_t held = found == of_one_.end() ? 0 : found->second;
  if (held + bytes > limits_.of_one_max || in_all_ + bytes > limits_.in_all_max) return false;
  of_one_[organization] = held + bytes;
  in_all_ += bytes;
  return true;
}

void HeldAnswers::let_go(const std::string& organization, std::size_t bytes) {
  const std::lock_guard lock{mutex_};
  in_all_ -= bytes;
  const auto found = of_one_.find(organization);
  found->second -= bytes;
  if (found->second == 0) of_one_.erase(found);
}

}  // namespace contactd::api

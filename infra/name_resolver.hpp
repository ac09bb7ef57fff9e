#pragma once

#include <boost/asio/ip/address.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace contactd::infra {

// Looks names up on threads of its own, since that blocks for as long as the name servers take.
// Nobody can interrupt it, hence nobody waits for those threads: they may outlive the resolver.
//
// Threads: any.
class NameResolver {
 public:
  using Addresses = std::vector<boost::asio::ip::address>;
  // Blocks. No addresses: the name leads nowhere. Must not throw, and must own what it uses.
  using LookUp = std::function<Addresses(const std::string& host)>;
  using Done = std::function<void(Addresses)>;

  // A name that is slow to look up keeps one of them busy.
  static constexpr std::size_t threads = 4;
  // More than there are deliveries under way, which is what asks.
  static constexpr std::size_t waiting_max = 256;

  explicit NameResolver(LookUp look_up);
  // Returns at once. Each `done` that wasn't called is destroyed; none runs from then on.
  ~NameResolver();
  NameResolver(const NameResolver&) = delete;
  NameResolver& operator=(const NameResolver&) = delete;

  // Calls `done` once, under a lock: it must not block, throw or call the resolver. A look-up that
  // could not begin before the deadline is not made, and `done` not called: it would only keep
  // those behind it waiting. False if too many wait.
  bool resolve(std::string host, std::chrono::steady_clock::time_point deadline, Done done);

 private:
  struct State;
  static void work(State& state);

  const std::shared_ptr<State> state_;
};

// Asks the system.
NameResolver::Addresses look_up_name(const std::string& host);

}  // namespace contactd::infra

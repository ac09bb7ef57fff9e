#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace contactd::test {

// A TCP connection to 127.0.0.1 on which a test says exactly which bytes go out and sees exactly
// which come in. Blocking, but nothing waits past its limit.
// Throws std::system_error where the system fails, such as on a refused connection.
class RawConnection {
 public:
  // How long a server under test may take for what it owes; far more than it should need.
  static constexpr std::chrono::milliseconds answer_wait_max{30'000};

  explicit RawConnection(std::uint16_t port);
  RawConnection(RawConnection&& other) noexcept;
  RawConnection& operator=(RawConnection&& other) noexcept;
  ~RawConnection();

  // Returns false where the other side closed or stopped reading before it had all of it.
  bool send(std::string_view bytes);
  // Says that nothing more will come (a half close); what the server sends can still be read.
  void finish_sending();
  // Closes so that the other side sees a reset.
  void reset();

  enum class Read { data, closed, timed_out };
  // Appends what comes next to `received`.
  Read read_some(std::string& received, std::chrono::milliseconds wait_max = answer_wait_max);

  struct Received {
    std::string bytes;
    bool closed = false;  // by the other side; or else the time was up
  };
  Received read_until_close(std::chrono::milliseconds wait_max = answer_wait_max);
  // Reads until `end` stands in what came, or the connection ends; returns all that came.
  std::string read_until(std::string_view end,
                         std::chrono::milliseconds wait_max = answer_wait_max);

 private:
  int socket_ = -1;
};

}  // namespace contactd::test

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/protocol_refusal.hpp"

namespace contactd::api {

// Follows a chunked body, and refuses what must not reach a parser that reads it more leniently
// than another server might. Wanted (RFC 9112, section 7.1): sizes in hex digits; lines that end in
// CRLF; data of exactly the announced size; a trailer of fields, none folded, none that frames or
// routes a message. The body is bounded by limits::body_bytes_max, what is around it by
// limits::chunk_framing_*.
class ChunkGuard {
 public:
  // Looks at the bytes that follow those that it has seen, up to the body's end; what is to be
  // answered instead, if they can't be taken. How they are cut into pieces makes no difference.
  std::optional<ProtocolRefusal> look(std::string_view bytes);

 private:
  enum class At : std::uint8_t {
    size,
    space,  // between a size and the `;` of its extension
    extension,
    size_newline,
    data,
    data_return,
    data_newline,
    trailer,  // a line of it
    trailer_newline,
    end,
  };
  using Refused = std::optional<ProtocolRefusal>;

  Refused look(char c);
  Refused at_size(char c);
  Refused expect(char c, char wanted, At next);
  Refused begin_data();
  Refused end_of_trailer_line();

  At at_ = At::size;
  std::size_t size_digits_ = 0;
  std::uint64_t left_ = 0;  // of the chunk, to come; while its size is read: so far
  std::uint64_t body_bytes_ = 0;
  std::uint64_t framing_bytes_ = 0;
  std::string trailer_line_;
};

}  // namespace contactd::api

#pragma once

#include <array>
#include <string>
#include <string_view>

// For tests of answers that are large.
namespace contactd::test {

// The body of a PATCH, or of a creation, of 76 kB: every text and every tag is as long as it may
// be, of a character that has four bytes.
inline std::string large_patch(std::string_view character) {
  constexpr int text_length = 1'000;
  constexpr int tag_length = 100;
  constexpr int tags = 100;
  const auto repeated = [&](int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += character;
    return text;
  };
  std::string body = "{";
  for (const char* field : {"first_name", "last_name", "phone_number", "job_title", "company",
                            "university", "gender", "birthday", "location"}) {
    body.append("\"").append(field).append("\":\"").append(repeated(text_length)).append("\",");
  }
  body += R"("tags":[)";
  for (int i = 0; i < tags; ++i) {
    if (i > 0) body += ',';
    const std::string number = std::to_string(i);
    const int rest = tag_length - static_cast<int>(number.size());
    body.append("\"").append(number).append(repeated(rest)).append("\"");
  }
  return body + "]}";
}

// Two that change everything, one after the other.
inline constexpr std::array<std::string_view, 2> large_characters{"😀", "😎"};

}  // namespace contactd::test

#include "infra/log.hpp"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <algorithm>
#include <cctype>
#include <memory>

#include "domain/json_text.hpp"

namespace contactd::infra {
namespace {

// The message as the inside of a JSON string.
class JsonMessage final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    const std::string text = domain::json_string({message.payload.data(), message.payload.size()});
    out.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<JsonMessage>();
  }
};

}  // namespace

void configure_log(const std::string& level, const std::string& format) {
  auto logger = std::make_shared<spdlog::logger>("contactd",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
  auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
  if (format == "json") {
    formatter->add_flag<JsonMessage>('*').set_pattern(
        R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","thread":%t,"message":%*})");
  } else {
    formatter->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v");
  }
  logger->set_formatter(std::move(formatter));
  logger->set_level(spdlog::level::from_str(level));
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
}

std::string without_keys(std::string message) {
  constexpr std::size_t shown_max = 16;  // numbers, hashes of a few bytes
  const auto is_hex = [](unsigned char c) { return std::isxdigit(c) != 0; };
  for (auto at = message.begin();;) {
    const auto begin = std::find_if(at, message.end(), is_hex);
    const auto end = std::find_if_not(begin, message.end(), is_hex);
    if (begin == message.end()) return message;
    at = end;
    if (static_cast<std::size_t>(end - begin) <= shown_max) continue;
    const auto kept = begin - message.begin();
    message.replace(begin, end, "(a key)");
    at = message.begin() + kept;
  }
}

bool RepeatedFailure::is_news(std::string_view message) {
  constexpr std::chrono::seconds repeat_interval{30};
  const auto now = std::chrono::steady_clock::now();
  // Numbers of files and offsets go on.
  std::string text{message};
  std::erase_if(text, [](unsigned char c) { return std::isdigit(c) != 0; });
  if (text == last_ && now - logged_ < repeat_interval) return false;
  last_ = std::move(text);
  logged_ = now;
  return true;
}

}  // namespace contactd::infra

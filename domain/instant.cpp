#include "domain/instant.hpp"

#include <chrono>

namespace contactd::domain {
namespace {

// What can be written with four digits for the year.
constexpr Instant first_instant{-62'167'219'200'000};
constexpr Instant last_instant{253'402'300'799'999};

void append_digits(std::string& out, std::uint64_t value, int width) {
  char digits[20];
  for (int i = width - 1; i >= 0; --i) {
    digits[i] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
  out.append(digits, static_cast<std::size_t>(width));
}

// Takes the pieces of a timestamp off the front of a text; once one piece is wrong, `ok` is false.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  int digits(std::size_t width) {
    int value = 0;
    if (rest_.size() < width) return fail();
    for (std::size_t i = 0; i < width; ++i) {
      if (rest_[i] < '0' || rest_[i] > '9') return fail();
      value = value * 10 + (rest_[i] - '0');
    }
    rest_.remove_prefix(width);
    return value;
  }
  bool take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!take(c)) fail();
  }
  // The fraction after the point, as milliseconds.
  int fraction_ms() {
    int ms = 0;
    std::size_t count = 0;
    while (!rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9') {
      if (count < 3) ms = ms * 10 + (rest_.front() - '0');
      ++count;
      rest_.remove_prefix(1);
    }
    if (count == 0) return fail();
    for (; count < 3; ++count) ms *= 10;
    return ms;
  }
  bool at_end() const { return rest_.empty(); }
  bool ok() const { return ok_; }

 private:
  int fail() {
    ok_ = false;
    return 0;
  }

  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace

void append_iso8601(std::string& out, Instant instant) {
  using namespace std::chrono;
  const sys_time<milliseconds> time{milliseconds{instant.unix_ms}};
  const auto day = floor<days>(time);
  const year_month_day date{day};
  const hh_mm_ss clock{time - day};
  append_digits(out, static_cast<std::uint64_t>(static_cast<int>(date.year())), 4);
  out += '-';
  append_digits(out, static_cast<unsigned>(date.month()), 2);
  out += '-';
  append_digits(out, static_cast<unsigned>(date.day()), 2);
  out += 'T';
  append_digits(out, static_cast<std::uint64_t>(clock.hours().count()), 2);
  out += ':';
  append_digits(out, static_cast<std::uint64_t>(clock.minutes().count()), 2);
  out += ':';
  append_digits(out, static_cast<std::uint64_t>(clock.seconds().count()), 2);
  out += '.';
  append_digits(out, static_cast<std::uint64_t>(clock.subseconds().count()), 3);
  out += 'Z';
}

std::string to_iso8601(Instant instant) {
  std::string out;
  append_iso8601(out, instant);
  return out;
}

std::string json_time(const std::optional<Instant>& time) {
  return time ? '"' + to_iso8601(*time) + '"' : "null";
}

std::optional<Instant> parse_iso8601(std::string_view text) {
  using namespace std::chrono;
  Scanner in{text};
  const int y = in.digits(4);
  in.expect('-');
  const int mo = in.digits(2);
  in.expect('-');
  const int d = in.digits(2);
  const year_month_day date{year{y}, month{static_cast<unsigned>(mo)},
                            day{static_cast<unsigned>(d)}};
  if (!in.ok() || !date.ok()) return std::nullopt;
  const std::int64_t day_ms = sys_time<milliseconds>{sys_days{date}}.time_since_epoch().count();
  if (in.at_end()) return Instant{day_ms};

  if (!in.take('t')) in.expect('T');  // RFC 3339 takes both cases
  const int h = in.digits(2);
  in.expect(':');
  const int mi = in.digits(2);
  in.expect(':');
  const int s = in.digits(2);
  const int ms = in.take('.') ? in.fraction_ms() : 0;
  int offset_minutes = 0;
  if (!in.take('Z') && !in.take('z')) {
    const int sign = in.take('-') ? -1 : 1;
    if (sign == 1) in.expect('+');
    const int offset_h = in.digits(2);
    in.expect(':');
    const int offset_m = in.digits(2);
    if (offset_h > 23 || offset_m > 59) return std::nullopt;
    offset_minutes = sign * (offset_h * 60 + offset_m);
  }
  // RFC 3339 allows a leap second; it is read as the second that follows.
  if (!in.ok() || !in.at_end() || h > 23 || mi > 59 || s > 60) return std::nullopt;
  const std::int64_t minutes = std::int64_t{h} * 60 + mi - offset_minutes;
  const Instant instant{day_ms + (minutes * 60 + s) * 1000 + ms};
  if (instant < first_instant || instant > last_instant) return std::nullopt;
  return instant;
}

}  // namespace contactd::domain

#include "api/commands/progress.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace contactd::api {
namespace {

constexpr std::chrono::milliseconds bar_interval{100};
constexpr std::chrono::milliseconds line_interval{2'000};
constexpr std::size_t bar_width = 30;

}  // namespace

Progress::Show Progress::show_for(bool json) {
  if (json) return Show::silent;
  return isatty(STDERR_FILENO) == 1 ? Show::bar : Show::lines;
}

Progress::Progress(Show show, std::string what, std::string unit, std::uint64_t total)
    : show_(show), what_(std::move(what)), unit_(std::move(unit)), total_(total) {}

Progress::~Progress() {
  if (drawn_) std::fputc('\n', stderr);
}

void Progress::at(std::uint64_t done) {
  if (show_ == Show::silent) return;
  const auto now = Clock::now();
  if (now - told_ < (show_ == Show::bar ? bar_interval : line_interval)) return;
  told_ = now;
  if (show_ == Show::lines) {
    std::fprintf(stderr, "%s\n", line(done, now).c_str());
    return;
  }
  std::string bar;
  if (total_ > 0) {
    const auto full = static_cast<std::size_t>(static_cast<double>(bar_width) *
                                               static_cast<double>(std::min(done, total_)) /
                                               static_cast<double>(total_));
    bar = " [" + std::string(full, '#') + std::string(bar_width - full, '.') + ']';
  }
  std::fprintf(stderr, "\r\x1b[K%s%s", line(done, now).c_str(), bar.c_str());
  std::fflush(stderr);
  drawn_ = true;
}

void Progress::finish(std::uint64_t done) {
  if (show_ == Show::silent) return;
  total_ = 0;  // what there is in all has been done
  drawn_ = false;
  if (show_ == Show::bar) std::fputs("\r\x1b[K", stderr);
  std::fprintf(stderr, "%s\n", line(done, Clock::now()).c_str());
}

// folding: 12000 of 50000 events (24 %), 310000 a second
std::string Progress::line(std::uint64_t done, Clock::time_point now) const {
  std::string text = what_ + ": " + std::to_string(done);
  if (total_ > 0) text += " of " + std::to_string(std::max(done, total_));
  text += ' ' + unit_;
  if (total_ > 0) {
    const std::uint64_t percent = std::min<std::uint64_t>(100, done * 100 / total_);
    text += " (" + std::to_string(percent) + " %)";
  }
  const std::chrono::duration<double> took = now - started_;
  if (took.count() > 0) {
    const auto rate = static_cast<std::uint64_t>(static_cast<double>(done) / took.count());
    text += ", " + std::to_string(rate) + " a second";
  }
  return text;
}

}  // namespace contactd::api

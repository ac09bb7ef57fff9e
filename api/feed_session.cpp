#include "api/feed_session.hpp"

#include "api/limits.hpp"
#include "infra/log.hpp"

namespace contactd::api {
namespace {

std::string as_chunk(std::string_view bytes) {
  constexpr std::string_view hex = "0123456789abcdef";
  std::string size;
  for (std::size_t rest = bytes.size(); rest > 0; rest /= 16) size.insert(0, 1, hex[rest % 16]);
  std::string chunk;
  chunk.reserve(size.size() + bytes.size() + 4);  // it may be long, and be held for long
  return chunk.append(size).append("\r\n").append(bytes).append("\r\n");
}
constexpr std::string_view last_chunk = "0\r\n\r\n";

Response too_many(ErrorFormat format, FeedFollowers::Verdict verdict) {
  if (verdict == FeedFollowers::Verdict::too_many_of_key) {
    return error_response(format, 429,
                          "This key follows as many feeds at once as it may; end some first")
        .with("Retry-After", std::to_string(limits::retry_after_seconds));
  }
  return overloaded(format, "As many feeds are followed at once as may be; try again");
}

}  // namespace

// A read of the store, and what came of it. Lives until it is done, whoever waits for it.
struct FeedSession::Read {
  std::shared_ptr<const FeedReader> reader;
  ErrorFormat format;
  std::optional<FeedRequest> start;  // of the first read
  infra::FeedQuery query;
  bool as_page = false;  // what there is, if there is anything, is the answer
  FeedPosition after;
  FeedBatch batch;

  // A page is made here, for the lane has others to serve: its body is empty if nothing was there.
  Response run() {
    if (start) {
      auto begin = reader->start(*start, !as_page, format);
      if (auto* refused = std::get_if<Response>(&begin)) return std::move(*refused);
      after = std::get<FeedPosition>(begin);
    }
    batch = reader->read(after, query);
    if (!as_page || (batch.events.empty() && !batch.more)) return {};
    Response page = page_response(batch, reader->cursor(batch.position));
    batch.events.clear();
    return page;
  }
};

FeedSession::FeedSession(Lane& lane, FeedPeer& peer, Feed feed, ErrorFormat format)
    : lane_(lane),
      peer_(peer),
      services_(lane.state().services),
      feed_(std::move(feed)),
      format_(format),
      reader_(std::make_shared<const FeedReader>(services_, feed_.organization)) {}

FeedSession::~FeedSession() {
  if (tail_ != nullptr) lane_.feeds().unfollow(*tail_, place_);
  if (!entered_) return;
  services_.feed_followers.leave(feed_.key);
  services_.metrics.feed_followers.Decrement();
}

void FeedSession::finish() {
  finishing_ = true;
  stop();
}

void FeedSession::end(End why) {
  ended_ = why;
  stop();
}

// What waits is woken, and a stream sends no further. A page that is being sent is an answer like
// any other, and sent whole.
void FeedSession::stop() {
  if (feed_.stream) peer_.stop_sending();
  peer_.wake();
}

// The refusal, if too many follow already.
std::optional<Response> FeedSession::enter() {
  const auto verdict = services_.feed_followers.enter(feed_.key);
  if (verdict != FeedFollowers::Verdict::welcome) return too_many(format_, verdict);
  entered_ = true;
  services_.metrics.feed_followers.Increment();
  return std::nullopt;
}

void FeedSession::follow() {
  std::tie(tail_, place_) = lane_.feeds().follow(feed_.organization, *this);
}

Awaitable<Response> FeedSession::answer() {
  Response response;
  try {
    response = co_await start();
  } catch (const std::exception& problem) {
    spdlog::error("a feed can't be read: {}", problem.what());
    response = overloaded(format_, "The database can't be read at present; try again");
  }
  co_return response;
}

Awaitable<Response> FeedSession::start() {
  if (stays()) {
    if (auto refused = enter()) co_return *std::move(refused);
  }
  if (feed_.stream) follow();
  Response read = co_await read_store(true);
  if (read.status != 200 || !read.body.empty()) co_return read;
  if (feed_.stream) {
    read.content_type = "text/event-stream";
    read.streamed = true;
    co_return std::move(read).with("X-Accel-Buffering", "no");
  }
  if (stays()) co_return co_await wait_for_events();
  co_return page();
}

Awaitable<Response> FeedSession::wait_for_events() {
  const auto deadline = std::chrono::steady_clock::now() + feed_.request.wait;
  follow();
  for (;;) {
    Response read = co_await next();
    if (read.status != 200) co_return read;
    if (ended_) co_return ended_response();
    if (!read.body.empty()) co_return read;
    const bool late = std::chrono::steady_clock::now() >= deadline;
    if (!batch_.events.empty() || late || over()) co_return page();
    co_await peer_.sleep_until(deadline);
  }
}

// What follows after batch_, out of the tail or, on another thread, out of the store: there a page
// is the response already, unless it would be empty.
Awaitable<Response> FeedSession::next() {
  if (tail_->covers(batch_.position)) {
    batch_ = tail_->after(batch_.position, feed_.request.query, limits::feed_chunk_bytes_max);
    co_return Response{};
  }
  co_return co_await read_store(false);
}

Awaitable<Response> FeedSession::read_store(bool first) {
  auto read = std::make_shared<Read>();
  read->reader = reader_;
  read->format = format_;
  if (first) read->start = feed_.request;
  read->query = feed_.request.query;
  read->as_page = !feed_.stream;
  read->after = batch_.position;
  SlowRead slow{[read] { return read->run(); }, feed_.organization.str()};
  Response response = co_await peer_.read(std::move(slow));
  if (response.status != 200) co_return response;
  if (first) begin_ = read->after;
  batch_ = std::move(read->batch);
  co_return response;
}

Response FeedSession::page() const {
  return page_response(batch_, reader_->cursor(batch_.position));
}

Response FeedSession::ended_response() const {
  if (ended_ == End::key_is_gone) return invalid_key(format_);
  return overloaded(format_, "Another instance serves this organization; ask it, or try again");
}

// What of batch_ hasn't been sent yet.
std::string FeedSession::take_events() {
  std::string out;
  for (const FeedEventPtr& event : batch_.events) append_sse_event(out, *event);
  batch_.events.clear();
  return out;
}

Awaitable<void> FeedSession::stream(bool chunked) {
  const auto& settings = lane_.state().settings;
  // The place where it begins, for a client that is cut off before its first event comes.
  std::string out = "retry: " + std::to_string(limits::feed_retry.count()) + "\n";
  append_sse_id(out, reader_->cursor(begin_));
  FeedPosition told = begin_;
  auto next_beat = SteadyTime{};
  while (!over()) {
    if (!batch_.events.empty()) told = batch_.events.back()->position;
    out += take_events();
    if (!out.empty()) {
      services_.metrics.feed_bytes.Increment(static_cast<double>(out.size()));
      if (chunked) out = as_chunk(out);
      const bool taken = co_await peer_.send(std::move(out), settings.feed_stall);
      out.clear();
      if (!taken) {
        if (!over()) services_.metrics.feed_stalled.Increment();
        co_return;
      }
      next_beat = std::chrono::steady_clock::now() + settings.feed_heartbeat;
    }
    const Response read = co_await next();
    const bool failed = read.status != 200;
    if (over() || (!failed && (!batch_.events.empty() || batch_.more))) continue;
    const auto pause = std::chrono::steady_clock::now() + limits::feed_retry;
    co_await peer_.sleep_until(failed ? std::min(next_beat, pause) : next_beat);
    if (std::chrono::steady_clock::now() < next_beat) continue;
    // Where filters have held everything back, the client's place moves on all the same.
    out = ": still here\n";
    if (told != batch_.position)
      append_sse_id(out, reader_->cursor(batch_.position));
    else
      out += '\n';
    told = batch_.position;
  }
  if (peer_.gone() || !chunked) co_return;
  std::string end{last_chunk};
  co_await peer_.send(std::move(end), settings.feed_stall);
}

}  // namespace contactd::api

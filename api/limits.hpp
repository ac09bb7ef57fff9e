#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

// Every bound of the HTTP side that isn't a flag. README lists those that a client meets.
namespace contactd::api::limits {

inline constexpr std::size_t target_bytes_max = 4096;
inline constexpr std::size_t header_bytes_max = 16'384;  // request line and header fields
inline constexpr std::size_t body_bytes_max = 262'144;
inline constexpr std::size_t read_bytes = 16'384;  // what is read from a socket at once
// What a chunked body's framing may take: so much, and so many times the body. One byte a chunk
// takes six.
inline constexpr std::size_t chunk_framing_bytes_max = 16'384;
inline constexpr std::size_t chunk_framing_ratio_max = 6;
// How slowly a request may come: after the grace, at this rate on average. The time-outs hold too.
inline constexpr std::chrono::milliseconds receive_grace{5'000};
inline constexpr std::size_t receive_bytes_a_second_min = 500;
// Commands that arrived together are handed to the writer together, but at most so many: the first
// of them are decided while the rest is still being read.
inline constexpr std::size_t commands_before_wake_max = 32;
// Answers to pipelined requests are collected up to this size before they are sent.
inline constexpr std::size_t pipelined_answer_bytes_max = 65'536;
// A body up to this size is laid behind its head; a longer one is sent from where it is.
inline constexpr std::size_t copied_body_bytes_max = 16'384;
// Connections beyond --max-connections that are told so at once; further ones are just closed.
inline constexpr std::size_t refused_connections_max = 256;
// The same of those beyond --max-connections-per-address.
inline constexpr std::size_t refused_connections_an_address_max = 16;
// After a failed accept, such as for want of file descriptors.
inline constexpr std::chrono::milliseconds accept_retry_pause{100};

inline constexpr std::size_t idempotency_key_length_max = 255;
inline constexpr std::size_t request_id_length_max = 128;
inline constexpr std::size_t etags_max = 32;  // in one If-Match or If-None-Match
inline constexpr std::size_t key_name_characters_max = 100;
inline constexpr std::size_t webhook_description_characters_max = 500;
inline constexpr std::size_t admin_key_length_min = 16;
// How long a key that was rotated goes on to hold.
inline constexpr std::int64_t key_grace_seconds_default = 24 * 3600;
inline constexpr std::int64_t key_grace_seconds_max = 90 * 24 * 3600;

inline constexpr std::size_t page_size_default = 50;
inline constexpr std::size_t page_size_max = 200;
inline constexpr std::size_t keys_page_size_max = 1000;
// A page of the feed or of a history ends, however many events it was asked for, before they have
// changed more bytes than this: one event may have a fifth of it, and who asks for many may be slow
// in taking them. A first event is always there. So does a list's page that a cursor goes on from,
// before its contacts have more bytes; one by number has all that it was asked for, 36 MB at most.
inline constexpr std::size_t page_bytes_max = 1U << 20U;

// How long a request waits for its command's outcome before it says that it doesn't know.
inline constexpr std::chrono::milliseconds outcome_wait_max{15'000};
// How often connections past a deadline are looked for.
inline constexpr std::chrono::milliseconds deadline_check_interval{100};
// A connection that is being closed reads this much for so long, so that its last answer arrives.
inline constexpr std::size_t linger_bytes_max = 1U << 20U;
inline constexpr std::chrono::milliseconds linger_max{1'000};
// After the drain's time is over, how long the cut connections have to go.
inline constexpr std::chrono::milliseconds abort_max{2'000};

// Clients that the rate limiter remembers (rate_limiter.hpp).
inline constexpr std::size_t rate_limited_clients_max = 100'000;
// Threads for reads that may take long (lists), and how many of those may wait, in all and of an
// organization.
inline constexpr std::size_t slow_read_threads = 2;
inline constexpr std::size_t slow_reads_waiting_max = 1024;
inline constexpr std::size_t slow_reads_waiting_of_one_max = 256;
// What such reads were answered, until it is sent (held_answers.hpp): so many bytes of an
// organization and in all, of the answers that are longer than a page's usual one. The longest
// there is fits into an organization's share.
inline constexpr std::size_t held_answer_bytes_of_one_max = 64U << 20U;
inline constexpr std::size_t held_answer_bytes_max = 512U << 20U;
inline constexpr std::size_t held_answer_bytes_uncounted_max = 65'536;

// Feeds. A long poll may wait so long, and a read looks at so many events of which the filters may
// hold all back: a page may be empty and yet go on.
inline constexpr std::uint64_t feed_wait_seconds_max = 30;
inline constexpr std::size_t feed_looked_at_max = 2'000;
// What a stream reads and is sent at once, unless one event has more, and what its socket holds
// besides: a reader that is slow costs no more memory than this.
inline constexpr std::size_t feed_chunk_bytes_max = 32'768;
inline constexpr int feed_send_buffer_bytes = 65'536;
// The events of an organization that a lane keeps for moments, rendered, for all who follow it.
inline constexpr std::size_t feed_tail_events_max = 1'024;
inline constexpr std::size_t feed_tail_bytes_max = 524'288;
// A lane wakes so many followers at once, then sees to what else there is; and an organization with
// many waits so much longer for its next round, so that feeds take a fifth of a lane's time at
// most.
inline constexpr std::size_t feed_slice = 64;
inline constexpr std::chrono::microseconds feed_pause_per_follower{50};
// How often it is looked whether the keys of those who follow still hold: a revocation ends a
// stream within a second.
inline constexpr std::chrono::milliseconds feed_sweep_interval{400};
// What a stream tells its client to wait before it connects again; and what it waits itself after a
// read that failed.
inline constexpr std::chrono::milliseconds feed_retry{1'000};
// While too many reads wait.
inline constexpr std::chrono::milliseconds feed_read_pause{20};

inline constexpr int retry_after_seconds = 1;

}  // namespace contactd::api::limits

#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>

// Asio's types as they are on a lane: without type-erased executors.
namespace contactd::api {

namespace asio = boost::asio;

using Executor = asio::io_context::executor_type;
using Socket = asio::basic_stream_socket<asio::ip::tcp, Executor>;
using SteadyTime = std::chrono::steady_clock::time_point;
using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, Executor>;
template <class Value>
using Awaitable = asio::awaitable<Value, Executor>;
// Errors come as values: auto [ec, ...] = co_await ...(await)
inline constexpr auto await = asio::as_tuple(asio::use_awaitable_t<Executor>{});

}  // namespace contactd::api

# Everything that contactd links, all of it from Debian 12 (`./dev` installs the packages).

find_package(Threads REQUIRED)
find_package(Boost 1.81 CONFIG REQUIRED COMPONENTS json url)
find_package(RocksDB CONFIG REQUIRED)
find_package(absl CONFIG REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(CLI11 CONFIG REQUIRED)
find_package(fmt CONFIG REQUIRED)
find_package(spdlog CONFIG REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED COMPONENTS core)
find_package(PkgConfig REQUIRED)
pkg_check_modules(rdkafka REQUIRED IMPORTED_TARGET rdkafka>=2.0.2)
pkg_check_modules(liblz4 REQUIRED IMPORTED_TARGET liblz4>=1.9)

# Asio and Beast are compiled once, into this library, and not again in each file that uses them.
add_library(contactd_asio STATIC cmake/asio.cpp cmake/asio_ssl.cpp cmake/beast.cpp)
target_compile_definitions(contactd_asio PUBLIC
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION
  BOOST_ASIO_NO_DEPRECATED)
target_link_libraries(contactd_asio PUBLIC Boost::headers Threads::Threads OpenSSL::SSL)

# The allocator: glibc's took a fifth of a PATCH's time. A sanitizer brings its own.
if(NOT CONTACTD_SANITIZE)
  find_library(CONTACTD_JEMALLOC jemalloc REQUIRED)
endif()

# librdkafka's threads and locks, which are C11's, in a form that the thread sanitizer knows.
if(CONTACTD_SANITIZE STREQUAL "thread")
  add_library(contactd_c11_threads STATIC cmake/c11_threads.cpp)
  target_link_options(contactd_c11_threads INTERFACE -Wl,--undefined=thrd_create)
endif()

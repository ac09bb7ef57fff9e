#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "infra/kafka_config.hpp"

namespace contactd::test {

// An event about a contact, or the record of an answer without a change (version 0).
struct LoggedChange {
  std::string request_id;
  std::string contact;  // empty for a recorded refusal
  std::uint64_t version = 0;
};

// What became of the projections' checkpoint since the server ended.
enum class Ended {
  gracefully,  // everything is folded and on the disk: compared as it is
  by_kill,     // folded on to the end of the log first, as the next start would
};

struct Replay {
  std::vector<LoggedChange> changes;      // those that are applied, in the order of the log
  std::size_t not_applied = 0;            // events of a writer that had lost its claim
  std::optional<std::string> difference;  // the first one between the projections and the log's
};

// Reads the log of a server that doesn't run, folds it from nothing, and compares the result with
// the projections key by key, and its email index with its contacts. Works on a copy of
// `data_dir`, which stays as it is. The log is in there, or on Kafka.
Replay replay(const std::filesystem::path& data_dir, Ended ended,
              const std::optional<infra::KafkaConfig>& kafka = std::nullopt);

}  // namespace contactd::test

#pragma once

// librdkafka's handles with their owners. Only infra/kafka_*.cpp and the headers that say
// "internal" include this.
#include <librdkafka/rdkafka.h>

#include <memory>

namespace contactd::infra::kafka {

template <auto destroy>
struct Destroy {
  void operator()(auto* handle) const noexcept { destroy(handle); }
};

template <class Handle, auto destroy>
using Owner = std::unique_ptr<Handle, Destroy<destroy>>;

using ClientPtr = Owner<rd_kafka_t, rd_kafka_destroy>;
using ConfPtr = Owner<rd_kafka_conf_t, rd_kafka_conf_destroy>;
using TopicConfPtr = Owner<rd_kafka_topic_conf_t, rd_kafka_topic_conf_destroy>;
using TopicPtr = Owner<rd_kafka_topic_t, rd_kafka_topic_destroy>;
using QueuePtr = Owner<rd_kafka_queue_t, rd_kafka_queue_destroy>;
using MessagePtr = Owner<rd_kafka_message_t, rd_kafka_message_destroy>;
using HeadersPtr = Owner<rd_kafka_headers_t, rd_kafka_headers_destroy>;
using ErrorPtr = Owner<rd_kafka_error_t, rd_kafka_error_destroy>;
using EventPtr = Owner<rd_kafka_event_t, rd_kafka_event_destroy>;
using PartitionsPtr = Owner<rd_kafka_topic_partition_list_t, rd_kafka_topic_partition_list_destroy>;
using NewTopicPtr = Owner<rd_kafka_NewTopic_t, rd_kafka_NewTopic_destroy>;
using AdminOptionsPtr = Owner<rd_kafka_AdminOptions_t, rd_kafka_AdminOptions_destroy>;
using ConfigResourcePtr = Owner<rd_kafka_ConfigResource_t, rd_kafka_ConfigResource_destroy>;

struct DestroyMetadata {
  void operator()(const rd_kafka_metadata_t* metadata) const noexcept {
    rd_kafka_metadata_destroy(metadata);
  }
};
struct DestroyGroupList {
  void operator()(const rd_kafka_group_list* groups) const noexcept {
    rd_kafka_group_list_destroy(groups);
  }
};
using GroupListPtr = std::unique_ptr<const rd_kafka_group_list, DestroyGroupList>;
using MetadataPtr = std::unique_ptr<const rd_kafka_metadata_t, DestroyMetadata>;

}  // namespace contactd::infra::kafka

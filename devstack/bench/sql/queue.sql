-- The reference of the drain benchmark: ClickHouse's own Kafka engine on the
-- event topics as its documentation has it, with its defaults: blocks of 65,409
-- rows, or what came within 7.5 s. Parsing the JSON is its work, as it is ours.
CREATE TABLE queue
(
    id UUID, type String, time DateTime64(3, 'UTC'), received_at DateTime64(3, 'UTC'),
    provider String, source String, provider_event String, provider_event_id String,
    message_id String, recipient String, recipient_domain String, recipient_hash String, mailbox_provider String,
    campaign String, tags Array(String), metadata Map(String, String),
    bounce_type String, reason String, cause String, confidence String, classifier String,
    permanent Nullable(Bool), smtp_code UInt16, enhanced_code String, smtp_reply String,
    blocklist String, blocklist_subject String, blocklist_url String,
    url String, ip String, user_agent String, country String, machine Nullable(Bool),
    feedback_source String, list_id String, sending_ip String, raw String
)
ENGINE = Kafka
SETTINGS
    kafka_broker_list = '{{brokers}}',
    kafka_topic_list = '{{topics}}',
    kafka_group_name = '{{group}}',
    kafka_format = 'JSONEachRow',
    kafka_num_consumers = {{consumers}},
    kafka_thread_per_consumer = {{threads}},
    date_time_input_format = 'best_effort',
    input_format_skip_unknown_fields = 1,
    input_format_json_read_objects_as_strings = 1

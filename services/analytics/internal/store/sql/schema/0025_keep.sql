-- What analytics.keep leaves out. An event that is not kept is still a row of event_log,
-- with what rates and alerting count and without what leads to a person, as one of
-- somebody who was forgotten: it replaces and is replaced by its repeats, so rates stay
-- exact. It is in no table by person, message or campaign. weight says for how many events
-- a row stands; message_key is the hash that alerting groups the events of a message by.
ALTER TABLE event_log {{on_cluster}}
    ADD COLUMN IF NOT EXISTS weight Float64 DEFAULT 1 COMMENT 'For how many events it stands; 0: it is only counted',
    ADD COLUMN IF NOT EXISTS message_key UInt64 COMMENT 'Of an event that is only counted: sipHash64 of source, message and person; 0 of all others';

ALTER TABLE person_log {{on_cluster}}
    ADD COLUMN IF NOT EXISTS weight Float64 DEFAULT 1;

ALTER TABLE messages_state {{on_cluster}}
    ADD COLUMN IF NOT EXISTS weights SimpleAggregateFunction(maxMap, Map(String, Float64));

-- Messages are found by person, too: recipient_hash is in the key, so that all rows of a
-- message agree in it and the index may be trusted, as in 0009_events_by_index.sql.
ALTER TABLE messages_state {{on_cluster}}
    ADD INDEX IF NOT EXISTS by_person recipient_hash TYPE bloom_filter(0.01) GRANULARITY 1;

ALTER TABLE messages_state {{on_cluster}}
    MATERIALIZE INDEX by_person;

ALTER TABLE campaign_state {{on_cluster}}
    ADD COLUMN IF NOT EXISTS weights SimpleAggregateFunction(maxMap, Map(String, Float64));

ALTER TABLE person_log_fill {{on_cluster}} MODIFY QUERY
SELECT
    recipient_hash, toDate(time) AS day, id, type, time, received_at, provider, source, provider_event,
    message_id, recipient, recipient_domain, mailbox_provider, campaign, subject, from_domain,
    sending_domain, template, bounce_type, reason, cause, confidence, permanent, smtp_code, enhanced_code,
    smtp_reply, blocklist, url, ip, user_agent, country, machine, feedback_source, list_id, sending_ip,
    ip_pool, origin, machine_reason, weight
FROM event_log
WHERE recipient_hash != '';

ALTER TABLE messages_fill {{on_cluster}} MODIFY QUERY
SELECT
    message_id, source, recipient_hash,
    provider, recipient, recipient_domain, mailbox_provider, campaign,
    time AS first_event,
    time AS last_event,
    if(type = 'processed', time, NULL) AS processed,
    if(type = 'deferred', time, NULL) AS deferred,
    if(type = 'delivered', time, NULL) AS delivered,
    if(type = 'bounced', time, NULL) AS bounced,
    if(type = 'blocked', time, NULL) AS blocked,
    if(type = 'failed', time, NULL) AS failed,
    if(type = 'opened', time, NULL) AS first_open,
    if(type = 'opened' AND ifNull(machine, false) = false, time, NULL) AS first_open_by_person,
    if(type = 'clicked', time, NULL) AS first_click,
    if(type = 'clicked' AND ifNull(machine, false) = false, time, NULL) AS first_click_by_person,
    if(type = 'complained', time, NULL) AS complained,
    if(type = 'unsubscribed', time, NULL) AS unsubscribed,
    toDateTime(received_at, 'UTC') AS received_at,
    sending_ip,
    subject,
    tags,
    CAST(metadata, 'Array(Tuple(String, String))') AS metadata,
    if(type = 'opened', [id], []) AS opens,
    if(type = 'opened' AND ifNull(machine, false), [id], []) AS machine_opens,
    if(type = 'clicked', [id], []) AS clicks,
    if(type = 'clicked' AND ifNull(machine, false), [id], []) AS machine_clicks,
    if(type IN ('delivered', 'bounced', 'blocked', 'failed'), (time, toString(type)), (toDateTime64(0, 3, 'UTC'), '')) AS outcome,
    if(type = 'opened', [(time, id, judged, toUInt8(ifNull(machine, false)))], []) AS open_acts,
    if(type = 'clicked', [(time, id, judged, toUInt8(ifNull(machine, false)))], []) AS click_acts,
    if(weight IN (0, 1), map(), map(toString(type), weight)) AS weights
FROM event_log
WHERE message_id != '';

ALTER TABLE campaign_state_fill {{on_cluster}} MODIFY QUERY
SELECT
    campaign, sipHash128(message_id, source, recipient_hash) AS message, source, provider, mailbox_provider, sending_ip,
    time AS first_event,
    time AS last_event,
    if(type = 'processed', time, NULL) AS processed,
    if(type = 'deferred', time, NULL) AS deferred,
    if(type = 'delivered', time, NULL) AS delivered,
    if(type = 'bounced', time, NULL) AS bounced,
    if(type = 'blocked', time, NULL) AS blocked,
    if(type = 'failed', time, NULL) AS failed,
    if(type = 'opened', time, NULL) AS first_open,
    if(type = 'opened' AND ifNull(machine, false) = false, time, NULL) AS first_open_by_person,
    if(type = 'clicked', time, NULL) AS first_click,
    if(type = 'clicked' AND ifNull(machine, false) = false, time, NULL) AS first_click_by_person,
    if(type = 'complained', time, NULL) AS complained,
    if(type = 'unsubscribed', time, NULL) AS unsubscribed,
    if(type IN ('delivered', 'bounced', 'blocked', 'failed'), (time, toString(type)), (toDateTime64(0, 3, 'UTC'), '')) AS outcome,
    toDateTime(received_at, 'UTC') AS received_at,
    if(type = 'opened', [(time, sipHash64(id), judged, toUInt8(ifNull(machine, false)))], []) AS open_acts,
    if(type = 'clicked', [(time, sipHash64(id), judged, toUInt8(ifNull(machine, false)))], []) AS click_acts,
    if(weight IN (0, 1), map(), map(toString(type), weight)) AS weights
FROM event_log
WHERE campaign != '' AND message_id != '';

CREATE OR REPLACE VIEW events {{on_cluster}}
(
    id UUID COMMENT 'UUIDv8: milliseconds of time, then a hash; the same event has the same id whenever it is sent. Looked up by an index',
    type LowCardinality(String) COMMENT 'processed, delivered, deferred, bounced, blocked, failed, opened, clicked, complained, unsubscribed, subscribed, other',
    time DateTime64(3, 'UTC') COMMENT 'When it happened, by the clock of the provider. Filter on it: the table is laid out by day',
    received_at DateTime64(3, 'UTC') COMMENT 'When the ingress took it',
    provider LowCardinality(String) COMMENT 'mailjet, sendgrid, ...',
    source LowCardinality(String) COMMENT 'The configured account that received it',
    provider_event LowCardinality(String) COMMENT 'The own word of the provider for type',
    provider_event_id String COMMENT 'Evidence only: may change when the provider sends again',
    message_id String COMMENT 'Exact, also beyond 2^53. Looked up by an index',
    recipient String COMMENT 'The address as received. Looked up by an index',
    recipient_domain LowCardinality(String) COMMENT 'Lower case, A-label',
    recipient_hash String COMMENT 'Keyed hash of the canonical address: the same person at every provider. Looked up by an index',
    mailbox_provider LowCardinality(String) COMMENT 'google, microsoft, yahoo, ...',
    campaign LowCardinality(String) COMMENT 'Campaign of the message',
    tags Array(String) COMMENT 'Tags of the message',
    metadata Map(String, String) COMMENT 'What the sender attached to the message',
    subject String COMMENT 'Subject of the message, where the provider tells it',
    from_domain LowCardinality(String) COMMENT 'Domain of the From header, which readers see: lower case, A-label',
    sending_domain LowCardinality(String) COMMENT 'Domain of the DKIM signature or of the envelope sender, whichever the provider tells',
    template LowCardinality(String) COMMENT 'Template of the message, by the name or number of the provider',
    bounce_type LowCardinality(String) COMMENT 'hard or soft, bounced only',
    reason LowCardinality(String) COMMENT 'Why it did not arrive: invalid_recipient, mailbox_full, reputation, policy, ...',
    cause LowCardinality(String) COMMENT 'Who has to act: recipient, sender, content, provider, network, other',
    confidence LowCardinality(String) COMMENT 'How sure reason is: certain, likely, unknown',
    classifier LowCardinality(String) COMMENT 'Version of the data file that gave reason and cause',
    permanent Nullable(Bool) COMMENT 'Trying this address again is pointless: true only of what is certain; NULL is unknown',
    smtp_code UInt16 COMMENT 'Reply code of the remote server; 0 is unknown',
    enhanced_code LowCardinality(String) COMMENT 'RFC 3463, such as 5.1.1',
    smtp_reply String COMMENT 'Reply text of the remote server',
    blocklist LowCardinality(String) COMMENT 'Who refused us, where the reply names it: spamhaus-zen, microsoft-s3150, ...',
    blocklist_subject String COMMENT 'The IP address or domain of ours that the list names',
    blocklist_url String COMMENT 'Where to look it up or have it taken off',
    url String COMMENT 'The link, clicked only',
    ip String COMMENT 'Address of who opened or clicked',
    user_agent String COMMENT 'Browser or mail program of who opened or clicked',
    country LowCardinality(String) COMMENT 'ISO 3166-1 alpha-2',
    machine Nullable(Bool) COMMENT 'A prefetch or scanner did it, not a person; NULL is unknown',
    feedback_source LowCardinality(String) COMMENT 'Feedback loop of a complaint',
    list_id String COMMENT 'List that was left or joined',
    sending_ip String COMMENT 'Address the message was sent from',
    ip_pool LowCardinality(String) COMMENT 'Name of the pool of addresses that sending_ip is one of',
    raw String COMMENT 'The item of the provider exactly as received, JSON',
    origin LowCardinality(String) COMMENT 'How the latest record of the event came about: live, replay, backfill, simulate',
    machine_reason LowCardinality(String) COMMENT 'Why machine was judged after the fact: too_soon, burst, crowd, agent; empty: machine is what provider and user agent say',
    weight Float64 COMMENT 'For how many events it stands: 1, or more where a sample is kept; 0: it is only counted, and leads to nobody'
)
AS SELECT
    id, type, time, received_at, provider, source, provider_event, provider_event_id,
    message_id, recipient, recipient_domain, recipient_hash, mailbox_provider,
    campaign, tags, metadata, subject, from_domain, sending_domain, template, bounce_type, reason, cause, confidence, classifier,
    permanent, smtp_code, enhanced_code, smtp_reply, blocklist, blocklist_subject, blocklist_url,
    url, ip, user_agent, country, machine,
    feedback_source, list_id, sending_ip, ip_pool, raw, origin, machine_reason, weight
FROM event_log FINAL
SETTINGS
    do_not_merge_across_partitions_select_final = 1,
    use_skip_indexes_if_final = 1,
    use_skip_indexes_if_final_exact_mode = 0,
    apply_mutations_on_fly = 1;

CREATE OR REPLACE VIEW person_messages {{on_cluster}}
(
    recipient_hash String COMMENT 'Keyed hash of the canonical address: the same person at every provider. Rows are looked up by it',
    day Date COMMENT 'Day of time, UTC',
    id UUID COMMENT 'UUIDv8: milliseconds of time, then a hash; the same event has the same id whenever it is sent',
    type LowCardinality(String) COMMENT 'processed, delivered, deferred, bounced, blocked, failed, opened, clicked, complained, unsubscribed, subscribed, other',
    time DateTime64(3, 'UTC') COMMENT 'When it happened, by the clock of the provider',
    received_at DateTime64(3, 'UTC') COMMENT 'When the ingress took it',
    provider LowCardinality(String) COMMENT 'mailjet, sendgrid, ...',
    source LowCardinality(String) COMMENT 'The configured account that received it',
    provider_event LowCardinality(String) COMMENT 'The own word of the provider for type',
    message_id String COMMENT 'Exact, also beyond 2^53',
    recipient String COMMENT 'The address as received',
    recipient_domain LowCardinality(String) COMMENT 'Lower case, A-label',
    mailbox_provider LowCardinality(String) COMMENT 'google, microsoft, yahoo, ...',
    campaign LowCardinality(String) COMMENT 'Campaign of the message',
    subject String COMMENT 'Subject of the message, where the provider tells it',
    from_domain LowCardinality(String) COMMENT 'Domain of the From header, which readers see: lower case, A-label',
    sending_domain LowCardinality(String) COMMENT 'Domain of the DKIM signature or of the envelope sender, whichever the provider tells',
    template LowCardinality(String) COMMENT 'Template of the message, by the name or number of the provider',
    bounce_type LowCardinality(String) COMMENT 'hard or soft, bounced only',
    reason LowCardinality(String) COMMENT 'Why it did not arrive: invalid_recipient, mailbox_full, reputation, policy, ...',
    cause LowCardinality(String) COMMENT 'Who has to act: recipient, sender, content, provider, network, other',
    confidence LowCardinality(String) COMMENT 'How sure reason is: certain, likely, unknown',
    permanent Nullable(Bool) COMMENT 'Trying this address again is pointless: true only of what is certain; NULL is unknown',
    smtp_code UInt16 COMMENT 'Reply code of the remote server; 0 is unknown',
    enhanced_code LowCardinality(String) COMMENT 'RFC 3463, such as 5.1.1',
    smtp_reply String COMMENT 'Reply text of the remote server',
    blocklist LowCardinality(String) COMMENT 'Who refused us, where the reply names it: spamhaus-zen, microsoft-s3150, ...',
    url String COMMENT 'The link, clicked only',
    ip String COMMENT 'Address of who opened or clicked',
    user_agent String COMMENT 'Browser or mail program of who opened or clicked',
    country LowCardinality(String) COMMENT 'ISO 3166-1 alpha-2',
    machine Nullable(Bool) COMMENT 'A prefetch or scanner did it, not a person; NULL is unknown',
    feedback_source LowCardinality(String) COMMENT 'Feedback loop of a complaint',
    list_id String COMMENT 'List that was left or joined',
    sending_ip String COMMENT 'Address the message was sent from',
    ip_pool LowCardinality(String) COMMENT 'Name of the pool of addresses that sending_ip is one of',
    origin LowCardinality(String) COMMENT 'How the latest record of the event came about: live, replay, backfill, simulate',
    machine_reason LowCardinality(String) COMMENT 'Why machine was judged after the fact: too_soon, burst, crowd, agent; empty: machine is what provider and user agent say',
    weight Float64 COMMENT 'For how many events it stands: 1, or more where a sample is kept'
)
AS SELECT
    recipient_hash, day, id, type, time, received_at, provider, source, provider_event, message_id,
    recipient, recipient_domain, mailbox_provider, campaign, subject, from_domain, sending_domain, template,
    bounce_type, reason, cause, confidence, permanent, smtp_code, enhanced_code, smtp_reply, blocklist, url,
    ip, user_agent, country, machine, feedback_source, list_id, sending_ip, ip_pool, origin, machine_reason, weight
FROM person_log FINAL
SETTINGS apply_mutations_on_fly = 1;

CREATE OR REPLACE VIEW messages {{on_cluster}}
(
    message_id String COMMENT 'Of the provider; rows are looked up by it',
    source LowCardinality(String) COMMENT 'The configured account that received it',
    recipient_hash String COMMENT 'Keyed hash of the canonical address. Looked up by an index',
    provider LowCardinality(String) COMMENT 'mailjet, sendgrid, ...',
    recipient String COMMENT 'The address as received',
    recipient_domain LowCardinality(String) COMMENT 'Lower case, A-label',
    mailbox_provider LowCardinality(String) COMMENT 'google, microsoft, yahoo, ...',
    campaign LowCardinality(String) COMMENT 'Campaign of the message',
    first_event DateTime64(3, 'UTC') COMMENT 'Earliest event of the message',
    last_event DateTime64(3, 'UTC') COMMENT 'Latest event of the message',
    processed Nullable(DateTime64(3, 'UTC')) COMMENT 'When the provider took it; NULL here and below: never',
    deferred Nullable(DateTime64(3, 'UTC')) COMMENT 'First deferral',
    delivered Nullable(DateTime64(3, 'UTC')) COMMENT 'When the remote server took it',
    bounced Nullable(DateTime64(3, 'UTC')) COMMENT 'First bounce',
    blocked Nullable(DateTime64(3, 'UTC')) COMMENT 'First block',
    failed Nullable(DateTime64(3, 'UTC')) COMMENT 'First failure of the message itself',
    first_open Nullable(DateTime64(3, 'UTC')) COMMENT 'First open, by whomever',
    first_open_by_person Nullable(DateTime64(3, 'UTC')) COMMENT 'First open that is not known to be a machine',
    first_click Nullable(DateTime64(3, 'UTC')) COMMENT 'First click, by whomever',
    first_click_by_person Nullable(DateTime64(3, 'UTC')) COMMENT 'First click that is not known to be a machine',
    complained Nullable(DateTime64(3, 'UTC')) COMMENT 'First complaint',
    unsubscribed Nullable(DateTime64(3, 'UTC')) COMMENT 'First unsubscription',
    sending_ip String COMMENT 'Address the message was sent from',
    subject String COMMENT 'Subject of the message, where the provider tells it',
    tags Array(String) COMMENT 'Tags of all its events',
    metadata Map(String, String) COMMENT 'What the sender attached to the message',
    opens UInt64 COMMENT 'Opens, by whomever',
    opens_by_person UInt64 COMMENT 'Opens that are not known to be of a machine',
    clicks UInt64 COMMENT 'Clicks, by whomever',
    clicks_by_person UInt64 COMMENT 'Clicks that are not known to be of a machine',
    outcome LowCardinality(String) COMMENT 'Latest of delivered, bounced, blocked, failed; empty: none yet',
    outcome_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When that was',
    weights Map(String, Float64) COMMENT 'For how many messages it stands, by type of event, where a sample of them is kept: greatest(1, weights[type])'
)
AS WITH
    -- Of each act the latest judgement.
    arrayFilter((act, next) -> act.2 != next.2 AND NOT act.4, arraySort(act -> (act.2, act.3, act.4), s.open_acts) AS open_sorted, arrayShiftLeft(open_sorted, 1)) AS opens_of_people,
    arrayFilter((act, next) -> act.2 != next.2 AND NOT act.4, arraySort(act -> (act.2, act.3, act.4), s.click_acts) AS click_sorted, arrayShiftLeft(click_sorted, 1)) AS clicks_of_people
SELECT
    message_id, source, recipient_hash,
    provider, recipient, recipient_domain, mailbox_provider, campaign, first_event, last_event,
    processed, deferred, delivered, bounced, blocked, failed,
    first_open, if(empty(s.open_acts), s.first_open_by_person, arrayReduce('minOrNull', arrayMap(act -> act.1, opens_of_people))) AS first_open_by_person,
    first_click, if(empty(s.click_acts), s.first_click_by_person, arrayReduce('minOrNull', arrayMap(act -> act.1, clicks_of_people))) AS first_click_by_person,
    complained, unsubscribed,
    sending_ip,
    subject,
    arraySort(s.tags) AS tags,
    CAST(arraySort(s.metadata), 'Map(String, String)') AS metadata,
    length(s.opens) AS opens,
    if(empty(s.open_acts), length(arrayFilter(id -> NOT has(machine_opens, id), s.opens)), length(opens_of_people)) AS opens_by_person,
    length(s.clicks) AS clicks,
    if(empty(s.click_acts), length(arrayFilter(id -> NOT has(machine_clicks, id), s.clicks)), length(clicks_of_people)) AS clicks_by_person,
    CAST(s.outcome.2, 'LowCardinality(String)') AS outcome,
    nullIf(s.outcome.1, toDateTime64(0, 3, 'UTC')) AS outcome_at,
    weights
FROM messages_state AS s FINAL
SETTINGS
    use_skip_indexes_if_final = 1,
    use_skip_indexes_if_final_exact_mode = 0,
    apply_mutations_on_fly = 1;

CREATE OR REPLACE VIEW campaign_messages {{on_cluster}}
(
    campaign LowCardinality(String) COMMENT 'Campaign of the message. Rows are looked up by it',
    source LowCardinality(String) COMMENT 'The configured account that received it',
    provider LowCardinality(String) COMMENT 'mailjet, sendgrid, ...',
    mailbox_provider LowCardinality(String) COMMENT 'google, microsoft, yahoo, ...',
    sending_ip String COMMENT 'Address the message was sent from',
    first_event DateTime64(3, 'UTC') COMMENT 'Earliest event of the message',
    last_event DateTime64(3, 'UTC') COMMENT 'Latest event of the message',
    processed Nullable(DateTime64(3, 'UTC')) COMMENT 'When the provider took it; NULL here and below: never',
    deferred Nullable(DateTime64(3, 'UTC')) COMMENT 'First deferral',
    delivered Nullable(DateTime64(3, 'UTC')) COMMENT 'When the remote server took it',
    bounced Nullable(DateTime64(3, 'UTC')) COMMENT 'First bounce',
    blocked Nullable(DateTime64(3, 'UTC')) COMMENT 'First block',
    failed Nullable(DateTime64(3, 'UTC')) COMMENT 'First failure of the message itself',
    first_open Nullable(DateTime64(3, 'UTC')) COMMENT 'First open, by whomever',
    first_open_by_person Nullable(DateTime64(3, 'UTC')) COMMENT 'First open that is not known to be a machine',
    first_click Nullable(DateTime64(3, 'UTC')) COMMENT 'First click, by whomever',
    first_click_by_person Nullable(DateTime64(3, 'UTC')) COMMENT 'First click that is not known to be a machine',
    complained Nullable(DateTime64(3, 'UTC')) COMMENT 'First complaint',
    unsubscribed Nullable(DateTime64(3, 'UTC')) COMMENT 'First unsubscription',
    outcome LowCardinality(String) COMMENT 'Latest of delivered, bounced, blocked, failed; empty: none yet',
    outcome_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When that was',
    weights Map(String, Float64) COMMENT 'For how many messages it stands, by type of event, where a sample of them is kept: greatest(1, weights[type])'
)
AS WITH
    -- Of each act the latest judgement.
    arrayFilter((act, next) -> act.2 != next.2 AND NOT act.4, arraySort(act -> (act.2, act.3, act.4), s.open_acts) AS open_sorted, arrayShiftLeft(open_sorted, 1)) AS opens_of_people,
    arrayFilter((act, next) -> act.2 != next.2 AND NOT act.4, arraySort(act -> (act.2, act.3, act.4), s.click_acts) AS click_sorted, arrayShiftLeft(click_sorted, 1)) AS clicks_of_people
SELECT
    campaign, source, provider, mailbox_provider, sending_ip, first_event, last_event, processed, deferred,
    delivered, bounced, blocked, failed, first_open, if(empty(s.open_acts), s.first_open_by_person, arrayReduce('minOrNull', arrayMap(act -> act.1, opens_of_people))) AS first_open_by_person,
    first_click, if(empty(s.click_acts), s.first_click_by_person, arrayReduce('minOrNull', arrayMap(act -> act.1, clicks_of_people))) AS first_click_by_person,
    complained, unsubscribed, CAST(s.outcome.2, 'LowCardinality(String)') AS outcome,
    nullIf(s.outcome.1, toDateTime64(0, 3, 'UTC')) AS outcome_at,
    weights
FROM campaign_state AS s FINAL;

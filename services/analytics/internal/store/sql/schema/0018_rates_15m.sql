-- Counts by quarter of an hour with campaign, address and domain of the sender, computed
-- when it is asked: with them, most groups have one or two events, so keeping the
-- counts would save nothing. Quarters give the days of every time zone.
CREATE VIEW IF NOT EXISTS rates_15m {{on_cluster}}
(
    quarter DateTime('UTC') COMMENT 'Start of the quarter of an hour, by the time of the event. Filter on it',
    provider LowCardinality(String) COMMENT 'mailjet, sendgrid, ...',
    source LowCardinality(String) COMMENT 'The configured account that received it',
    type LowCardinality(String) COMMENT 'processed, delivered, deferred, bounced, blocked, failed, opened, clicked, complained, unsubscribed, subscribed, other',
    recipient_domain LowCardinality(String) COMMENT 'Lower case, A-label',
    mailbox_provider LowCardinality(String) COMMENT 'google, microsoft, yahoo, ...',
    cause LowCardinality(String) COMMENT 'Who has to act on it, where it did not arrive',
    campaign LowCardinality(String) COMMENT 'Campaign of the message',
    sending_ip String COMMENT 'Address the message was sent from',
    sending_domain LowCardinality(String) COMMENT 'Domain of the DKIM signature or of the envelope sender',
    machine Bool COMMENT 'Opens and clicks known to be of a machine',
    events UInt64 COMMENT 'How many; sum it'
)
AS SELECT
    toStartOfFifteenMinutes(toDateTime(time, 'UTC')) AS quarter,
    provider, source, type, recipient_domain, mailbox_provider, cause, campaign, sending_ip, sending_domain,
    ifNull(machine, false) AS machine,
    count() AS events
FROM event_log FINAL
GROUP BY quarter, provider, source, type, recipient_domain, mailbox_provider, cause, campaign, sending_ip, sending_domain, machine
SETTINGS do_not_merge_across_partitions_select_final = 1;

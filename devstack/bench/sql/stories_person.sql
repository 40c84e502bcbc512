-- A person with one message on each day of those that are kept, of which the weeks hold
-- the last. A hundred days at a time: more are more parts than one insert may make.
INSERT INTO event_log (id, type, time, received_at, provider, source, message_id, recipient_hash, recipient_domain, mailbox_provider, campaign)
SELECT
    toUUID(concat('ffffffff-0000-8000-8000-', leftPad(lower(hex({{first}} + number)), 12, '0'))), 'delivered',
    toDateTime64('{{today}}', 3, 'UTC') - toIntervalDay({{first}} + number) + 3600 AS time, time + 1, 'sendgrid', 'acme',
    concat('kept-', toString({{first}} + number)), '{{person}}', 'gmail.com', 'google', concat('kept-', toString({{first}} + number))
FROM numbers(100)

-- 600,000 events of five days, two sources and four types, in ten blocks, and a
-- tenth of them once more. A message has four events, a person two messages,
-- a campaign 1,500.
INSERT INTO event_log (id, type, time, received_at, provider, source, message_id, recipient, recipient_domain, recipient_hash, campaign)
SELECT
    reinterpretAsUUID(MD5(toString(number))) AS id,
    ['processed', 'delivered', 'opened', 'clicked'][number % 4 + 1] AS type,
    toDateTime64('2026-10-01 00:00:00', 3, 'UTC') + toIntervalSecond(cityHash64(intDiv(number, 4)) % (5 * 86400)) + toIntervalSecond(number % 4) AS time,
    now64(3),
    'mailjet',
    ['acme', 'zeta'][cityHash64(intDiv(number, 4)) % 2 + 1],
    toString(intDiv(number, 4)),
    'person' || toString(intDiv(number, 4) % 75000) || '@example.com',
    'example.com',
    lower(hex(MD5(toString(intDiv(number, 4) % 75000)))),
    'campaign' || toString(intDiv(number, 4) % 100)
FROM numbers(600000)
SETTINGS max_block_size = 60000, min_insert_block_size_rows = 60000, max_insert_threads = 1;
INSERT INTO event_log (id, type, time, received_at, provider, source, message_id, recipient, recipient_domain, recipient_hash, campaign)
SELECT id, type, time, received_at + toIntervalMinute(5), provider, source, message_id, recipient, recipient_domain, recipient_hash, campaign
FROM event_log
WHERE toUInt64(message_id) % 10 = 5

-- An address of a role: 40,000 messages of 400 days to one person, each delivered and, on
-- the next day, opened, and 3,000 that bounced. Ids say nothing of the time.
INSERT INTO event_log (id, type, time, received_at, provider, source, message_id, recipient, recipient_domain, recipient_hash, campaign, reason, classifier, blocklist_url)
SELECT
    reinterpretAsUUID(MD5(concat('role', toString(number)))) AS id, ['delivered', 'opened', 'bounced'][kind] AS type,
    toDateTime64('2025-11-01 00:00:00', 3, 'UTC') + toIntervalSecond(message * 864 + [0, 86407, 60][kind]) AS time,
    now64(3), 'mailjet', 'acme', lower(hex(MD5(concat('role', toString(message))))) AS message_id,
    'info@example.com', 'example.com', 'role', concat('campaign', toString(message)),
    if(kind = 3, 'invalid_recipient', ''), if(kind = 3, '7', ''), if(kind = 3, 'https://check.example/', '')
FROM (SELECT number, if(number >= 80000, number % 3000 * 13, intDiv(number, 2)) AS message, if(number >= 80000, 3, number % 2 + 1) AS kind FROM numbers(83000))
SETTINGS max_partitions_per_insert_block = 1000, max_block_size = 20000, min_insert_block_size_rows = 20000, max_insert_threads = 1, max_threads = 1

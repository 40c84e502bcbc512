-- 100,000 messages of fifty days, a day after the other, at five mailbox providers, with
-- ids that say nothing of the time: each is processed and delivered, a third is opened, half
-- of these on another day, and a tenth of the deliveries is told twice.
INSERT INTO event_log (id, type, time, received_at, provider, source, message_id, recipient, recipient_domain, recipient_hash, mailbox_provider, campaign)
SELECT
    reinterpretAsUUID(MD5(concat(toString(message), toString(nth)))) AS id,
    ['processed', 'delivered', 'opened', 'delivered'][nth] AS type,
    toDateTime64('2026-09-01 00:00:00', 3, 'UTC') + toIntervalSecond(message * 432 / 10) + toIntervalSecond([0, 5, if(message % 2 = 0, 600, 86400 * (1 + message % 3)), 5][nth]) AS time,
    now64(3) + nth, 'mailjet', 'acme', lower(hex(MD5(concat('m', toString(message))))),
    concat('person', toString(message), '@example.com'), 'example.com', lower(hex(MD5(toString(message)))),
    ['google', 'microsoft', 'yahoo', 'apple', 'other'][message % 5 + 1], concat('campaign', toString(message % 100))
FROM (SELECT number AS message, arrayJoin(arrayConcat([1, 2], if(number % 3 = 0, [3], []), if(number % 10 = 0, [4], []))) AS nth FROM numbers(100000))
SETTINGS max_block_size = 16384, min_insert_block_size_rows = 16384, max_insert_threads = 1, max_threads = 1

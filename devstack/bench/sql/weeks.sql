-- Five weeks of mail, one day at a time, of three sources with a rhythm of the day
-- and of the week, 1 % hard bounces, 2 % blocks and 0.02 % complaints, to five large
-- and 2,000 small domains.
INSERT INTO event_log (id, type, time, received_at, provider, source, message_id, recipient_hash, recipient_domain, mailbox_provider, campaign, sending_ip, bounce_type, cause, reason)
SELECT
    toUUID(concat(leftPad(lower(hex({{day}})), 8, '0'), '-', leftPad(lower(hex(kind)), 4, '0'), '-8000-8000-', leftPad(lower(hex(number)), 12, '0'))),
    kind = 1 ? 'complained' : (hard ? 'bounced' : (refused ? 'blocked' : 'delivered')) AS type,
    toDateTime64('{{from}}', 3, 'UTC') + second + kind * 60 AS time, time + 1, 'sendgrid', ['acme', 'beta', 'gamma'][number % 3 + 1],
    concat('{{day}}', '-', toString(number)), lower(hex(sipHash128(number, {{day}}))),
    large > 0 ? ['gmail.com', 'outlook.com', 'yahoo.com', 'gmx.net', 'orange.fr'][large] : concat('d', toString(dice % 2000), '.example'),
    large > 0 ? ['google', 'microsoft', 'yahoo', 'gmx', 'orange'][large] : '', concat('news-', toString({{day}} * 3 + number % 6)), concat('192.0.2.', toString(number % 8)),
    type = 'bounced' ? 'hard' : '', type = 'bounced' ? 'recipient' : (type = 'blocked' ? 'sender' : ''), type = 'bounced' ? 'invalid_recipient' : (type = 'blocked' ? 'reputation' : '')
FROM
(
    SELECT number, cityHash64({{day}}, number) AS dice, intDiv(dice, 1000003) % 86400 AS second, intDiv(second, 3600) AS hour,
        intDiv(dice, 7) % 10 < 8 ? intDiv(dice, 77) % 5 + 1 : 0 AS large, intDiv(dice, 13) % 1000 < 10 AS hard, intDiv(dice, 13) % 1000 < 30 AS refused
    FROM numbers({{events}})
    WHERE (intDiv(dice, 17) % 3) < (hour BETWEEN 6 AND 20 ? 3 : 1) AND (intDiv(dice, 19) % 2) < ({{day}} % 7 >= 5 ? 1 : 2)
)
ARRAY JOIN [0, 1] AS kind
WHERE kind = 0 OR (NOT refused AND large > 1 AND intDiv(dice, 23) % 10000 < 2)

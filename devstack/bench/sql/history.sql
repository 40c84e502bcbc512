-- Thirty days of mail, one day at a time so that a part is a day: to five large and
-- 500 small domains, 4 % refused, and on each day one hour in which one large domain
-- refuses all.
INSERT INTO event_log (id, type, time, received_at, provider, source, message_id, recipient_hash, recipient_domain, mailbox_provider, cause)
SELECT
    toUUID(concat(leftPad(lower(hex({{day}})), 8, '0'), '-0000-8000-8000-', leftPad(lower(hex(number)), 12, '0'))),
    if(bad OR rand() % 100 < 4, 'blocked', 'delivered') AS type,
    toDateTime64('{{from}}', 3, 'UTC') + second AS time, time + 1, 'sendgrid', ['acme', 'beta', 'gamma'][number % 3 + 1],
    concat('{{day}}', '-', toString(number)), toString(cityHash64({{day}}, number)), domain,
    if(large > 0, ['google', 'microsoft', 'yahoo', 'gmx', 'orange'][large], ''), if(type = 'blocked', 'sender', '')
FROM
(
    SELECT number, intDiv(number * 86400, {{events}}) AS second, number % 10 < 7 ? number % 5 + 1 : 0 AS large,
        large > 0 ? ['gmail.com', 'outlook.com', 'yahoo.com', 'gmx.net', 'orange.fr'][large] : concat('d', toString(cityHash64(number) % 500), '.example') AS domain,
        large = {{day}} % 5 + 1 AND intDiv(second, 3600) = 9 AS bad
    FROM numbers({{events}})
)

-- The played weeks: three sources with a rhythm of the hour and of the week,
-- six campaigns each, 1 % hard bounces, 2 % blocks and 0.02 % complaints, and the
-- disturbances of the program, each a tuple: from and to in seconds of the weeks, source,
-- mailbox provider and campaign ('' is any), what it does, and the share of the messages
-- it does that to at its beginning and at its end.
INSERT INTO event_log (id, type, time, received_at, provider, source, message_id, recipient_hash, recipient_domain, mailbox_provider, campaign, sending_ip, bounce_type, cause, reason)
WITH [{{disturbances}}] AS disturbances
SELECT
    toUUID(concat(leftPad(lower(hex(day)), 8, '0'), '-', leftPad(lower(hex(kind)), 4, '0'), '-8000-8000-', leftPad(lower(hex(number)), 12, '0'))),
    kind = 1 ? 'complained' : (hard ? 'bounced' : (refused ? 'blocked' : 'delivered')) AS type,
    toDateTime64('{{from}}', 3, 'UTC') + day * 86400 + second + kind * 600 AS time, time + 1, 'sendgrid', source,
    toString(number), hex(sipHash128(number)), domain, mailbox_provider, campaign, concat('192.0.2.', toString(dice % 4)),
    type = 'bounced' ? 'hard' : '', type = 'bounced' ? 'recipient' : (type = 'blocked' ? 'sender' : ''), type = 'bounced' ? 'invalid_recipient' : (type = 'blocked' ? 'reputation' : '')
FROM
(
    SELECT number, day, dice, second, source, domain, mailbox_provider,
        arrayFilter(d -> at >= d.1 AND at < d.2 AND d.3 IN ('', source) AND d.4 IN ('', mailbox_provider), disturbances) AS near,
        arrayFirst(d -> d.6 = 'campaign' AND d.7 > roll, near).5 AS special,
        special != '' ? special : concat('news-', toString(intDiv(day, 2)), '-', toString(intDiv(dice, 29) % 6)) AS campaign,
        arrayMap(d -> (d.6, d.7 + (d.8 - d.7) * (at - d.1) / (d.2 - d.1)), arrayFilter(d -> d.5 IN ('', campaign), near)) AS acts,
        arrayExists(a -> a.1 = 'missing' AND a.2 > roll, acts) AS missing,
        roll2 < 0.01 OR arrayExists(a -> a.1 = 'bounced' AND a.2 > roll2, acts) AS hard,
        NOT hard AND (roll3 < 0.02 OR arrayExists(a -> a.1 = 'blocked' AND a.2 > roll3, acts)) AS refused,
        NOT hard AND NOT refused AND mailbox_provider != 'google' AND (roll4 < 0.0002 OR arrayExists(a -> a.1 = 'complained' AND a.2 > roll4, acts)) AS complains
    FROM
    (
        SELECT number, intDiv(number, {{events}}) AS day, cityHash64(number) AS dice, intDiv(dice, 1000003) % 86400 AS second, day * 86400 + second AS at, intDiv(second, 3600) AS hour,
            cityHash64(dice, 'roll') / exp2(64) AS roll, cityHash64(dice, 'hard') / exp2(64) AS roll2, cityHash64(dice, 'refused') / exp2(64) AS roll3,
            cityHash64(dice, 'complains') / exp2(64) AS roll4,
            multiIf(dice % 10 < 7, 'acme', dice % 10 < 9, 'beta', 'gamma') AS source, intDiv(dice, 7) % 100 AS place,
            multiIf(place < 35, 'google', place < 60, 'microsoft', place < 75, 'yahoo', place < 82, 'gmx', '') AS mailbox_provider,
            multiIf(place < 35, 'gmail.com', place < 50, 'outlook.com', place < 60, 'hotmail.com', place < 75, 'yahoo.com', place < 82, 'gmx.net',
                concat('d', toString(intDiv(dice, 701) % 500), '.example')) AS domain
        FROM numbers({{events}} * {{days}})
        WHERE cityHash64(dice, 'hour') % 4 < (hour BETWEEN 6 AND 20 ? 4 : 1) AND cityHash64(dice, 'day') % 10 < (day % 7 >= 5 ? 4 : 10)
    )
)
ARRAY JOIN [0, 1] AS kind
WHERE NOT missing AND (kind = 0 OR complains)

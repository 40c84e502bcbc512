-- Four weeks of mail of two accounts, 1,000 messages a day, and what became of them:
-- who bounces, opens, clicks and complains follows from the number of the message, so
-- that a test can work out every answer without SQL. Some events come twice, and some are
-- written again by a replay and by a judgement. The provider of one account does not
-- report that it took a message, as Mailjet and others do not.
INSERT INTO event_log
(
    id, type, time, received_at, provider, source, message_id, recipient, recipient_domain, recipient_hash, mailbox_provider,
    campaign, sending_ip, sending_domain, reason, cause, smtp_reply, blocklist, url, ip, machine, permanent, bounce_type, kafka_topic, kafka_offset
)
WITH
    intDiv(number, 1000) AS day, number % 1000 AS i, intDiv(day, 7) AS week,
    i + 1000 * (day % 2) + 500 * week AS person,
    intDiv(i, 10) % 2 AS second_account,
    multiIf(person % 10 < 5, 'gmail.com', person % 10 < 7, 'outlook.com', person % 10 = 7, 'yahoo.com', 'example.com') AS domain,
    (number * 37 + person * 10) % 100 AS fate,
    toDateTime64('2026-10-05 09:00:00', 3, 'UTC') + toIntervalSecond(day * 86400 + i * 3) AS sent,
    fate < 3 AS bounced,
    NOT bounced AND ((fate < 6 AND domain != 'yahoo.com') OR (domain = 'outlook.com' AND week = 3 AND fate < 36)) AS blocked,
    NOT bounced AND NOT blocked AND fate < 8 AS lost,
    NOT bounced AND NOT blocked AND NOT lost AS arrived,
    arrived AND fate < 18 AS deferred,
    if(deferred, 600, 1 + fate % 7) AS takes,
    arrived AND person % 3 = 0 AS opened,
    takes + 60 * (1 + person % 50) AS open_after,
    arrayFilter(e -> e.3,
    [
        ('processed', 0, second_account = 1),
        ('deferred', 2, deferred OR lost),
        ('delivered', takes, arrived),
        ('bounced', 1, bounced),
        ('blocked', 1, blocked),
        ('opened', takes + 1, arrived AND domain = 'gmail.com' AND fate % 2 = 0), -- the proxy of the mailbox provider
        ('opened', open_after, opened),
        ('clicked', open_after + 30, opened AND person % 6 = 0),
        ('complained', 86400, arrived AND number % 500 = 7),
        ('unsubscribed', 172800, arrived AND number % 400 = 3)
    ]) AS happened
SELECT
    reinterpretAsUUID(MD5(concat(toString(number), e.1, toString(e.2)))),
    e.1,
    sent + toIntervalSecond(e.2),
    now64(3),
    if(second_account, 'sendgrid', 'mailjet'),
    if(second_account, 'zeta', 'acme'),
    toString(number),
    concat('person', toString(person), '@', domain),
    domain,
    lower(hex(MD5(toString(person)))),
    transform(domain, ['gmail.com', 'outlook.com', 'yahoo.com'], ['google', 'microsoft', 'yahoo'], 'other'),
    concat('week', toString(week + 1), if(intDiv(i, 2) % 2 = 1, 'b', 'a')),
    multiIf(day >= 14 AND i < 40 * (day - 13), '192.0.2.9', second_account, '192.0.2.2', '192.0.2.1'),
    if(i % 4 = 3, 'news.example.com', 'mail.example.com'),
    multiIf(e.1 = 'bounced', 'invalid_recipient', e.1 = 'deferred', 'greylisted', e.1 != 'blocked', '', domain = 'outlook.com', 'blocklist', 'reputation'),
    multiIf(e.1 = 'bounced', 'recipient', e.1 = 'deferred', 'provider', e.1 = 'blocked', 'sender', ''),
    multiIf(e.1 = 'bounced', concat('550 5.1.1 <person', toString(person), '@', domain, '> user unknown'), e.1 = 'deferred', concat('451 4.7.1 greylisted, id ', toString(number + 100000)), e.1 != 'blocked', '', domain = 'outlook.com', '550 5.7.1 on our block list (S3150)', '550 5.7.1 poor reputation'),
    if(e.1 = 'blocked' AND domain = 'outlook.com', 'microsoft-s3150', ''),
    if(e.1 = 'clicked', 'https://example.com/offer', ''),
    if(e.1 IN ('opened', 'clicked'), concat('198.51.', toString(intDiv(person, 250) + 1), '.', toString(person % 250 + 1)), ''),
    if(e.1 = 'opened' AND e.2 = takes + 1, true, NULL),
    if(e.1 = 'bounced', true, NULL),
    if(e.1 = 'bounced', 'hard', ''),
    concat('email.', e.1),
    number * 2 + (e.1 = 'opened' AND e.2 = takes + 1)
FROM numbers(28000)
ARRAY JOIN happened AS e;
INSERT INTO event_log
WITH
    source = 'acme' AND toUInt64(message_id) % 10 = 5 AS twice,
    source = 'zeta' AND toUInt64(message_id) % 100 = 11 AS replayed,
    source = 'zeta' AND toUInt64(message_id) % 100 = 12 AND type = 'opened' AS was_judged
SELECT * REPLACE (received_at + 60 * twice AS received_at, if(was_judged, kafka_offset, kafka_offset + 100000) AS kafka_offset, if(replayed, 'replay', origin) AS origin, toUInt64(was_judged) AS judged)
FROM event_log
WHERE twice OR replayed OR was_judged;
INSERT INTO suppression_log
(
    recipient_hash, version, address, updated_at, `entries.scope`, `entries.reason`, `entries.added_at`, `entries.removed_at`, `entries.expires_at`,
    `entries.since`, `entries.evidence`, `entries.provider`, `entries.source`, `entries.note`, `entries.removed_by`, `entries.removed_note`
)
SELECT
    recipient_hash, 1, any(recipient), min(time), ['account'], ['hard_bounce'], [min(time) + toIntervalMinute(1)], [NULL], [NULL],
    [min(time) + toIntervalMinute(1)], [''], ['mailjet'], ['acme'], [''], [''], ['']
FROM event_log
WHERE type = 'bounced'
GROUP BY recipient_hash

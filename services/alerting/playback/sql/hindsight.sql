-- Outcomes of messages by minute and reason, twice: once of all that is known now, and
-- once (in_time) of the events that came within {window} milliseconds. A message counts
-- once, by its latest outcome; of one moment the worse counts. Repeats of an event
-- change nothing, so that FINAL is not needed. Domains and mailbox providers are named
-- in hexadecimal; with no name at all, every key is read.
WITH
    type = 'blocked' OR (type = 'bounced' AND cause IN ('sender', 'content') AND NOT has({literal:Array(String)}, provider)) AS refused,
    multiIf(refused, 3, type = 'bounced', 2, 1) AS rank,
    toUnixTimestamp64Milli(least(time, received_at)) AS at,
    toUnixTimestamp64Milli(received_at) - toUnixTimestamp64Milli(time) <= {window:Int64} AS came,
    (toUInt8(rank), intDiv(at, 60000), if(refused, toString(reason), ''), if(refused, toString(cause), '')) AS outcome
SELECT
    toUInt8(row.1) AS in_time,
    toDateTime(row.2.2 * 60, 'UTC') AS minute,
    source_of AS source,
    domain_of AS recipient_domain,
    provider_of AS mailbox_provider,
    toUInt8(row.2.1) AS kind,
    row.2.3 AS reason,
    row.2.4 AS cause,
    count() AS messages
FROM
(
    SELECT
        if(message_key != 0, message_key, sipHash64(source, if(message_id = '', toString(id), message_id), if(recipient_hash = '', recipient, recipient_hash))) AS message,
        toString(any(source)) AS source_of,
        toString(max(recipient_domain)) AS domain_of,
        toString(max(mailbox_provider)) AS provider_of,
        argMax(outcome, (at, rank)) AS last,
        argMaxIf(outcome, (at, rank), came) AS last_in_time,
        countIf(came) > 0 AS any_in_time
    FROM event_log
    WHERE time >= fromUnixTimestamp64Milli({from:Int64}) AND time < fromUnixTimestamp64Milli({to:Int64})
        AND type IN ('delivered', 'bounced', 'blocked')
        AND origin NOT IN ('replay', 'backfill')
        AND (empty({domains:Array(String)}) AND empty({providers:Array(String)})
            OR has({domains:Array(String)}, hex(recipient_domain)) OR has({providers:Array(String)}, hex(mailbox_provider)))
    GROUP BY message
)
ARRAY JOIN if(any_in_time, [(0, last), (1, last_in_time)], [(0, last)]) AS row
GROUP BY in_time, minute, source, recipient_domain, mailbox_provider, kind, reason, cause
ORDER BY minute, source, mailbox_provider, recipient_domain

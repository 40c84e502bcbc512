-- Where refusals came more than {window} milliseconds late, of what happened from {from}
-- to {to}: since when, and when the last of them came.
SELECT
    toString(recipient_domain) AS domain,
    toString(mailbox_provider) AS provider,
    min(toUnixTimestamp64Milli(time)) AS first,
    max(toUnixTimestamp64Milli(received_at)) AS came
FROM event_log
WHERE time >= fromUnixTimestamp64Milli({from:Int64}) AND time < fromUnixTimestamp64Milli({to:Int64} - {window:Int64})
    AND received_at <= fromUnixTimestamp64Milli({to:Int64})
    AND toUnixTimestamp64Milli(received_at) - toUnixTimestamp64Milli(time) > {window:Int64}
    AND type IN ('bounced', 'blocked')
    AND origin NOT IN ('replay', 'backfill')
GROUP BY domain, provider
HAVING domain != '' OR provider != ''
ORDER BY count() DESC, domain, provider
LIMIT {limit:UInt32}

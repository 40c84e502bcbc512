-- One row a key: what became of the messages that have an event between {from} and
-- {to}. A message counts once, by its latest outcome; repeats of an event change
-- nothing, so that FINAL is not needed. The words in double braces are put in by
-- the program, out of a fixed list; values are parameters.
-- An outcome is a number: milliseconds, then blocked 3, bounced 2 or delivered 1 (of
-- one moment the worse counts), then hard, then the place of its cause.
SELECT
    {{source}} AS source_label,
    {{key}} AS key,
    countIf(outcome = 1) AS delivered,
    countIf(outcome = 2) AS bounced,
    countIf(outcome = 2 AND hard) AS hard,
    countIf(outcome = 3) AS blocked,
    countIf(outcome >= 2 AND why = 4) AS suppressed,
    countIf(deferred) AS deferrals,
    countIf(deferred OR outcome > 0) AS tried,
    countIf(complained) AS complaints,
    countIf(complained OR (was_delivered AND provider_of != 'google')) AS complainable,
    countIf(unsubscribed) AS unsubscriptions,
    countIf(was_delivered) AS deliveries,
    countIf(last > transform(concat(hex(source_label), '-', hex(key)), {keys:Array(String)}, {sinces:Array(Int64)}, toInt64(0)) AND outcome + was_delivered > 0) AS fresh,
    [countIf(outcome = 3 AND why = 1), countIf(outcome = 3 AND why = 2), countIf(outcome = 3 AND why = 3), countIf(outcome = 3 AND why = 4),
        countIf(outcome = 3 AND why = 5), countIf(outcome = 3 AND why IN (0, 6))] AS causes,
    count() OVER () AS found
FROM
(
    WITH
        type = 'blocked' OR (type = 'bounced' AND cause IN ('sender', 'content') AND provider NOT IN {literal:Array(String)}) AS refused,
        multiIf(refused, 3, type = 'bounced', 2, type = 'delivered', 1, 0) AS rank,
        toUInt64(toUnixTimestamp64Milli(time)) * 64 + rank * 16 + (bounce_type = 'hard') * 8
            + multiIf(cause = 'recipient', 1, cause = 'sender', 2, cause = 'content', 3, cause = 'provider', 4, cause = 'network', 5, cause = '', 0, 6) AS mark,
        sipHash64(source, if(message_id = '', toString(id), message_id), if(recipient_hash = '', recipient, recipient_hash)) AS message
    SELECT
        message,
        any(source) AS source_of,
        max(recipient_domain) AS domain_of,
        max(mailbox_provider) AS provider_of,
        {{extra}}
        maxIf(mark, rank > 0) AS best,
        intDiv(bitAnd(best, 63), 16) AS outcome,
        bitAnd(best, 8) > 0 AS hard,
        bitAnd(best, 7) AS why,
        maxIf(toUnixTimestamp64Milli(time), rank > 0) AS last,
        max(type = 'deferred') AS deferred,
        max(type = 'complained') AS complained,
        max(type = 'unsubscribed') AS unsubscribed,
        max(type = 'delivered') AS was_delivered
    FROM event_log
    WHERE time > fromUnixTimestamp64Milli({from:Int64}) AND time <= fromUnixTimestamp64Milli({to:Int64})
        AND type IN ('delivered', 'bounced', 'blocked', 'deferred', 'complained', 'unsubscribed')
        {{match}}
    GROUP BY message
)
GROUP BY source_label, key
HAVING key != '' AND (greatest(tried, deliveries, complainable) >= {volume:Int64} OR has({keys:Array(String)}, concat(hex(source_label), '-', hex(key))))
ORDER BY has({keys:Array(String)}, concat(hex(source_label), '-', hex(key))) DESC, bounced + blocked + complaints + unsubscriptions + deferrals DESC, source_label, key
LIMIT {limit:UInt32}

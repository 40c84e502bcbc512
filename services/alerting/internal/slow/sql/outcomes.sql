-- One row a key: what became of the messages of messages.sql. The words in double
-- braces are put in by the program, out of a fixed list; values are parameters.
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
    {{messages}}
)
GROUP BY source_label, key
HAVING key != '' AND (greatest(tried, deliveries, complainable) >= {volume:Int64} OR has({keys:Array(String)}, concat(hex(source_label), '-', hex(key))))
ORDER BY has({keys:Array(String)}, concat(hex(source_label), '-', hex(key))) DESC, bounced + blocked + complaints + unsubscriptions + deferrals DESC, source_label, key
LIMIT {limit:UInt32}

-- One row a key of each split: what became of the messages of messages.sql. The words
-- in double braces are put in by the program, out of a fixed list; values are
-- parameters. {names} are the keys of incidents under way, {sinces} when they began.
WITH arrayMap(name -> unhex(name), {names:Array(String)}) AS watched
SELECT
    tuple.1 AS split,
    tuple.2 AS source_label,
    tuple.3 AS key,
    concat(toString(split), '\0', source_label, '\0', key) AS name,
    {{counts}},
    countIf(outcome + was_delivered > 0 AND last > {{since}}) AS fresh,
    [countIf(outcome = 3 AND why = 1), countIf(outcome = 3 AND why = 2), countIf(outcome = 3 AND why = 3), countIf(outcome = 3 AND why = 4),
        countIf(outcome = 3 AND why = 5), countIf(outcome = 3 AND why IN (0, 6))] AS causes,
    count() OVER (PARTITION BY split) AS found
FROM
(
    {{messages}}
)
ARRAY JOIN {{keys}} AS tuple
GROUP BY tuple
HAVING key != '' AND (greatest(tried, deliveries, complainable) >= {volumes:Array(Int64)}[split + 1] OR has(watched, name))
ORDER BY split, has(watched, name) DESC, bounced + blocked + complaints + unsubscriptions + deferrals DESC, source_label, key
LIMIT {limit:UInt32} BY split

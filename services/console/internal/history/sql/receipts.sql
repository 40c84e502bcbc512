-- How often each of some events was received, and when first. Reads the rows beside theirs
-- in the key.
WITH arrayMap(id -> sipHash64(toUUID(id)), {ids:Array(String)}) AS events
SELECT transform(event, events, {ids:Array(String)}, '') AS event_id, uniqExact(received_at) AS seen, min(received_at) AS received
FROM receipt_log
WHERE (source, type, time) IN
(
    SELECT known.1, known.2, fromUnixTimestamp64Milli(known.3, 'UTC')
    FROM (SELECT arrayJoin(arrayZip({sources:Array(String)}, {types:Array(String)}, {times:Array(Int64)})) AS known)
)
  AND event IN events
GROUP BY event

-- Gives the receipts of events that have another type today to the event of today. The time
-- of receipt stays, so what analytics stores of that one adds none.
INSERT INTO receipt_log (source, type, time, event, received_at)
SELECT
    source, transform(receipt_log.event, {events:Array(UInt64)}, {new_types:Array(String)}, '') AS type, time,
    transform(receipt_log.event, {events:Array(UInt64)}, arrayMap(id -> sipHash64(toUUID(id)), {new_ids:Array(String)}), toUInt64(0)) AS event, received_at
FROM receipt_log
WHERE time >= {from:DateTime64(3, 'UTC')} AND time <= {to:DateTime64(3, 'UTC')} AND receipt_log.event IN {events:Array(UInt64)}

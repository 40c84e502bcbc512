-- Gives the receipts of events that have another id today to that id. The time of receipt
-- stays, so what analytics stores of the new event adds none.
INSERT INTO receipt_log (recipient_hash, time, id, received_at)
SELECT recipient_hash, time, toUUID(transform(toString(id), {ids:Array(String)}, {new_ids:Array(String)}, '')) AS id, received_at
FROM receipt_log
WHERE recipient_hash IN {hashes:Array(String)} AND toString(receipt_log.id) IN {ids:Array(String)}
  AND time >= {from:DateTime64(3, 'UTC')} AND time <= {to:DateTime64(3, 'UTC')}
SETTINGS apply_mutations_on_fly = 1

-- Takes away the receipts that receipt_log_move.sql gave to another id.
DELETE FROM receipt_log {{on_cluster}}
WHERE recipient_hash IN {hashes:Array(String)} AND toString(id) IN {ids:Array(String)}
  AND time >= {from:DateTime64(3, 'UTC')} AND time <= {to:DateTime64(3, 'UTC')}

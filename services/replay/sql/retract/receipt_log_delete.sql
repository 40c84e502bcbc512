-- Takes away the receipts that receipt_log_move.sql gave to another event. By value, as in
-- campaign_state_delete.sql.
DELETE FROM receipt_log {{on_cluster}}
WHERE time >= {from:DateTime64(3, 'UTC')} AND time <= {to:DateTime64(3, 'UTC')} AND event IN {events:Array(UInt64)}

-- Takes away the rows of events that have another type today, and with it another
-- id. touch.sql says so to what counts by hour.
DELETE FROM event_log {{on_cluster}} WHERE toString(id) IN {ids:Array(String)} AND time >= {from:DateTime64(3, 'UTC')} AND time <= {to:DateTime64(3, 'UTC')}

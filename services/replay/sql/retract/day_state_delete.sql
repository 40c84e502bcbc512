-- Takes messages out of day_state, to be counted anew. By value, as in campaign_state_delete.sql.
DELETE FROM day_state {{on_cluster}}
WHERE hex(message) IN {hashes:Array(String)}

-- Takes messages out of campaign_state, to be counted anew. By value and not by a query:
-- replicas would have to get the same answer to it, and ClickHouse takes no chances.
DELETE FROM campaign_state {{on_cluster}}
WHERE hex(message) IN {hashes:Array(String)}

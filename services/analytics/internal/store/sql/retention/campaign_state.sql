-- How long messages are kept by campaign: as long as in messages_state.
ALTER TABLE campaign_state {{on_cluster}} MODIFY TTL received_at + toIntervalDay({{days}})

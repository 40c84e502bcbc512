-- How long counts of past hours are kept.
ALTER TABLE rates_1h_sealed {{on_cluster}} MODIFY TTL hour + toIntervalDay({{days}})

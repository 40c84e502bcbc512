-- How long events are kept by person: as long as in event_log.
ALTER TABLE person_log {{on_cluster}} MODIFY TTL toDateTime(received_at) + toIntervalDay({{days}})

-- Timelines: the tags and the stream of some events, which only the log of all events has.
-- The key finds the hours of their sources and types.
SELECT toString(id) AS event_id, any(tags) AS tags, any(metadata['stream']) AS stream
FROM event_log
WHERE source IN {sources:Array(String)} AND type IN {types:Array(String)}
    AND toStartOfHour(time) IN {hours:Array(DateTime('UTC'))} AND id IN {ids:Array(UUID)}
GROUP BY id

-- The next events of a stretch of at most an hour, in an order that does not depend
-- on merges, after the position reached.
SELECT
    toString(id) AS id, type, time, received_at, provider, source, provider_event, provider_event_id,
    bounce_type, reason, cause, confidence, permanent, machine, classifier,
    blocklist, blocklist_subject, blocklist_url, raw
FROM events
WHERE time >= {from:DateTime64(3, 'UTC')} AND time < {to:DateTime64(3, 'UTC')}
  AND (empty({source:String}) OR source = {source:String})
  AND (empty({type:String}) OR type = {type:String})
  AND (empty({after:String}) OR (time, toString(id)) > ({from:DateTime64(3, 'UTC')}, {after:String}))
ORDER BY time, toString(id)
LIMIT {limit:UInt32}

-- Incidents that lasted within a time, the latest first. Reads all incidents, which are
-- few.
SELECT incident, rule, labels, state, value, peak, threshold, delivered, bounced, blocked, window, since, updated_at, resolved_at, ended
FROM alerts
WHERE state != 'pending' AND since < {to:DateTime64(3, 'UTC')} AND (state != 'resolved' OR resolved_at >= {from:DateTime64(3, 'UTC')})
ORDER BY since DESC, incident
LIMIT {limit:UInt32}

-- Incidents that lasted within a time, the latest first, or the one of an id. Reads all
-- incidents, which are few.
SELECT incident, rule, labels, state, value, peak, threshold, delivered, bounced, blocked, window, since, updated_at, resolved_at, ended, late, causes,
    CAST(`reasons.reason`, 'Array(String)') AS reason_words, CAST(`reasons.cause`, 'Array(String)') AS reason_causes, `reasons.count` AS reason_counts, `reasons.sample` AS reason_replies
FROM alerts
WHERE state != 'pending' AND since < {to:DateTime64(3, 'UTC')} AND (state != 'resolved' OR resolved_at >= {from:DateTime64(3, 'UTC')})
    AND ({id:String} = '' OR incident = {id:String})
ORDER BY since DESC, incident
LIMIT {limit:UInt32}

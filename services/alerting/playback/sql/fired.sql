-- What really fired and overlaps the time.
SELECT incident, rule, labels, since, resolved_at, peak, inhibited_by != '' AS inhibited
FROM alerts
WHERE since < {to:DateTime64(3, 'UTC')} AND (resolved_at IS NULL OR resolved_at >= {from:DateTime64(3, 'UTC')})
    AND state != 'pending' AND ended != 'lapsed'
ORDER BY since, fingerprint
LIMIT {limit:UInt32}

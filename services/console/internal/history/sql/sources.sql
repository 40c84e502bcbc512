-- Overview: what was last received of each source. A maximum needs no merge; reads the
-- days since {since}.
SELECT
    source, any(provider) AS provider, max(time) AS last_time, max(received_at) AS last_received,
    uniqExactIf(id, received_at >= now64(3, 'UTC') - INTERVAL 1 HOUR) AS recent
FROM event_log
WHERE time >= {since:DateTime64(3, 'UTC')}
GROUP BY source
ORDER BY source

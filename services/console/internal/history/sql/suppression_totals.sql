-- Suppressions: how many entries hold, by reason. Reads the list once.
SELECT reason, countIf(active) AS entries, countIf(active AND since >= now64(3, 'UTC') - INTERVAL 1 DAY) AS day
FROM suppressions
GROUP BY reason
ORDER BY entries DESC, reason

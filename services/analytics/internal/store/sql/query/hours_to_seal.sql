-- Hours at rest without a valid seal, oldest first: what the sealing has to do.
-- Reads a few thousand rows. An hour is at rest when nothing came for it for a
-- while, which is longer than an insert may take to reach all tables and replicas.
SELECT hour, sum(rows) AS rows
FROM hour_rows
GROUP BY hour
HAVING max(touched_at) < now('UTC') - {rest:UInt32} AND hour < toStartOfHour(now('UTC'))
   AND (hour, rows) NOT IN (SELECT hour, rows FROM hour_seals FINAL)
ORDER BY hour
LIMIT {limit:UInt32}

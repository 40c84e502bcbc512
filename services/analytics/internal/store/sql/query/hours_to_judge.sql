-- Hours whose opens and clicks have to be judged: those whose number of rows, or that of
-- the hour before (a message may be delivered then and opened now), is no longer what it
-- was, or that other rules judged. The hour after counts once it is at rest, for what is
-- in its first minute: until then it would have both judged at each look. The latest come
-- first. Reads a few thousand rows.
SELECT h.hour AS hour, h.rows + b.rows + a.rows AS rows
FROM (SELECT hour, sum(rows) AS rows FROM hour_rows GROUP BY hour) AS h
LEFT JOIN (SELECT hour + toIntervalHour(1) AS hour, sum(rows) AS rows FROM hour_rows GROUP BY hour) AS b ON h.hour = b.hour
LEFT JOIN
(
    SELECT hour - toIntervalHour(1) AS hour, sum(rows) AS rows
    FROM hour_rows
    GROUP BY hour
    HAVING max(touched_at) < now('UTC') - {rest:UInt32}
) AS a ON h.hour = a.hour
WHERE (h.hour, {rules:UInt32}, h.rows + b.rows + a.rows) NOT IN (SELECT hour, rules, rows FROM hour_judgements FINAL)
ORDER BY hour DESC
LIMIT {limit:UInt32}

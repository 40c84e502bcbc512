-- The latest judgement of acts of people who are forgotten, of all versions that are
-- stored. What the acts were judged by is gone, so no look comes to it once more.
SELECT toString(id) AS act, argMax(machine_reason, judged) AS verdict, max(judged) AS judged_at
FROM event_log
WHERE source IN {sources:Array(String)} AND type IN ('opened', 'clicked')
  AND time IN {times:Array(DateTime64(3, 'UTC'))} AND id IN {ids:Array(UUID)} AND event_log.judged != 0
GROUP BY id

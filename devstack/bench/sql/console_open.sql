-- How many past hours have no final counts yet.
SELECT count() FROM (SELECT hour FROM hour_rows GROUP BY hour) WHERE hour < toStartOfHour(now('UTC')) AND hour NOT IN (SELECT hour FROM sealed_hours)

-- From when on rows of day_state have to be gathered, what the time is there, and how many
-- rows these are. Reads one column of all rows.
SELECT
    (
        SELECT toDateTime(greatest(toInt64(toUnixTimestamp(max(until))) - {overlap:Int64}, 0), 'UTC')
        FROM day_gathers
        WHERE work = 'day_state'
    ) AS since,
    now('UTC') AS until,
    count() AS rows
FROM day_state
WHERE stored > since

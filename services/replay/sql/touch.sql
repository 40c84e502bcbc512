-- Says that the counts of hours are no longer those that were sealed.
INSERT INTO hour_rows (hour, rows, touched_at)
SELECT arrayJoin({hours:Array(DateTime('UTC'))}), 1, now('UTC')

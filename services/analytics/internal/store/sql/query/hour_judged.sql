-- Notes that an hour was judged, up to the rows that it had before.
INSERT INTO hour_judgements (hour, rules, rows, at)
SELECT {hour:DateTime('UTC')}, {rules:UInt32}, {rows:UInt64}, now64(3, 'UTC')

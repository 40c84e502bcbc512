-- Makes the counts of an hour valid, after all of them are stored.
INSERT INTO hour_seals (hour, seal, rows, dimensions)
SELECT {hour:DateTime('UTC')}, {seal:UInt64}, {rows:UInt64}, 1

-- Notes that a work has its turn for some time from now; 0 ends it.
INSERT INTO turns (work, holder, until, noted_at)
SELECT {work:String}, {holder:String}, now64(3, 'UTC') + toIntervalMillisecond({lasts:UInt64}), now64(9, 'UTC')

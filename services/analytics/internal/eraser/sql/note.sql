-- Notes how far a request is. The latest note of a request counts.
INSERT INTO erasure_log (request, requested_at, reason, people, rows, left, hidden_at, erased_at, verified_at, updated_at)
SELECT
    {request:String}, fromUnixTimestamp64Milli({requested_at:Int64}), {reason:String}, {people:UInt32},
    mapFromArrays({tables:Array(String)}, {rows:Array(UInt64)}), {left:UInt64},
    if({hidden_at:Int64} = 0, NULL, fromUnixTimestamp64Milli({hidden_at:Int64})),
    if({erased_at:Int64} = 0, NULL, fromUnixTimestamp64Milli({erased_at:Int64})),
    if({verified_at:Int64} = 0, NULL, fromUnixTimestamp64Milli({verified_at:Int64})),
    now64(3, 'UTC')

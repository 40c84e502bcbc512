-- How far requests are together: a moment is that of the last of them, none while one is missing.
SELECT
    count() AS requests, sum(left) AS left,
    if(countIf(isNull(hidden_at)) = 0, max(hidden_at), NULL) AS hidden_at,
    if(countIf(isNull(erased_at)) = 0, max(erased_at), NULL) AS erased_at,
    if(countIf(isNull(verified_at)) = 0, max(verified_at), NULL) AS verified_at
FROM erasure_log FINAL
WHERE request IN {requests:Array(String)}

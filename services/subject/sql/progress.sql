-- How far a request is.
SELECT rows, left, hidden_at, erased_at, verified_at
FROM erasure_log FINAL
WHERE request = {request:String}

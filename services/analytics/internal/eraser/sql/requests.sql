-- What is known of requests that are not verified yet, and which are.
SELECT request, rows, hidden_at, erased_at, verified_at
FROM erasure_log FINAL

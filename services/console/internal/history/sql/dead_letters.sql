-- Dead letters that are open, by kind, with a sample of the latest. Reads all of them.
SELECT
    service, reason, provider, source, count() AS letters, sum(length(bytes)) AS size, min(time) AS first_time, max(time) AS last_time,
    argMax(id, time) AS sample_id, argMax(detail, time) AS sample_detail, substring(argMax(bytes, time), 1, 4096) AS sample
FROM dead_letters
WHERE state = 'open' AND ({source:String} = '' OR source = {source:String})
GROUP BY service, reason, provider, source
ORDER BY letters DESC, service, reason, provider, source
LIMIT {limit:UInt32}

-- Which replies came, in the place of the incident, since an hour before it began.
SELECT type, reason, cause, smtp_code, count() AS n, any(smtp_reply) AS example
FROM events
WHERE time >= {{from}}{{where}} AND type IN ('delivered', 'deferred', 'bounced', 'blocked', 'complained')
GROUP BY type, reason, cause, smtp_code
ORDER BY n DESC
LIMIT 50

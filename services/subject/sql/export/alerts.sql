-- Alerts whose samples quote a reply: looked through here, since the words of a
-- query stay in the server's log.
SELECT formatRow('JSONEachRow', rule, since, `reasons.sample`) AS line
FROM alerts
ORDER BY since

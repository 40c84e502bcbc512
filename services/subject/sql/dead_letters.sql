-- All dead letters with their bytes: addresses are looked for here and not by the
-- server, whose log of queries would keep them.
SELECT id, time, service, reason, provider, source, received_at, bytes
FROM dead_letters

-- Counts of one step of the history, by minute. A bounce that others call a block
-- counts as one, as in the counter of the service.
SELECT
    minute, source, recipient_domain, mailbox_provider,
    sumIf(events, type = 'delivered') AS delivered,
    sumIf(events, type = 'bounced' AND NOT refused) AS bounced,
    sumIf(events, type = 'blocked' OR (type = 'bounced' AND refused)) AS blocked
FROM
(
    SELECT minute, source, recipient_domain, mailbox_provider, type, events,
        cause IN ('sender', 'content') AND NOT has({literal:Array(String)}, provider) AS refused
    FROM rates_1m
    WHERE minute >= toDateTime({from:DateTime64(3, 'UTC')}, 'UTC') AND minute < toDateTime({to:DateTime64(3, 'UTC')}, 'UTC') AND type IN ('delivered', 'bounced', 'blocked')
)
GROUP BY minute, source, recipient_domain, mailbox_provider
ORDER BY minute, source, recipient_domain, mailbox_provider

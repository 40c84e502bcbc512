-- The reference: all that the back-test reads by minute, counted and thrown away.
SELECT count(), sum(n)
FROM
(
    SELECT minute, source, recipient_domain, mailbox_provider, sum(events) AS n
    FROM rates_1m
    WHERE minute >= '{{from}}' AND minute < '{{to}}' AND type IN ('delivered', 'bounced', 'blocked')
    GROUP BY minute, source, recipient_domain, mailbox_provider
)

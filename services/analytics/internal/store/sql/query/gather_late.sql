-- Marks rows of which gather_home.sql has added all to another one, so that a message is
-- counted once. What came since is added by the next look: a mark hides it until then.
INSERT INTO day_state (mailbox_provider, source, message, first_event, last_event, received_at, late)
WITH
    fresh AS
    (
        SELECT message
        FROM day_state
        WHERE stored > {since:DateTime('UTC')} AND reinterpretAsUInt64(message) % {slices:UInt64} = {slice:UInt64}
    )
SELECT row.1 AS mailbox_provider, source, message, row.2 AS first_event, row.2 AS last_event, row.3 AS received_at, 1 AS late
FROM
(
    SELECT
        message, any(source) AS source, min(toDate(first_event)) AS home, max(mailbox_provider) AS named,
        arrayJoin(arrayFilter(row -> (toDate(row.2), row.1) != (home, named) AND NOT row.4, groupArray((mailbox_provider, first_event, received_at, late)))) AS row
    FROM day_state
    WHERE message IN (SELECT message FROM fresh)
    GROUP BY message
)
SETTINGS max_threads = 2

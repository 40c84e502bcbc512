-- Adds to the row of a message's first day, and of its mailbox provider, what its rows of
-- other days know. A message has more than one where its events are on several days, or
-- where later ones have another mailbox provider: messages takes the largest, and so does
-- this. Reads two narrow columns of all rows, and few messages whole.
--
-- What was marked late before is added once more: an event that made another day the
-- first one between this statement and gather_late.sql found its message marked there, and
-- nothing added.
INSERT INTO day_state
(
    mailbox_provider, source, message, provider, recipient_domain, campaign, sending_ip, first_event,
    last_event, processed, deferred, delivered, bounced, blocked, failed, first_open, first_open_by_person,
    first_click, first_click_by_person, complained, unsubscribed, outcome, received_at, open_acts, click_acts,
    weights
)
WITH
    fresh AS
    (
        SELECT message
        FROM day_state
        WHERE stored > {since:DateTime('UTC')} AND reinterpretAsUInt64(message) % {slices:UInt64} = {slice:UInt64}
    ),
    spread AS
    (
        SELECT message
        FROM day_state
        WHERE message IN (SELECT message FROM fresh)
        GROUP BY message
        HAVING (min(toDate(first_event)), min(mailbox_provider)) != (max(toDate(first_event)), max(mailbox_provider))
    )
SELECT
    max(s.mailbox_provider) AS mailbox_provider, any(s.source) AS source, message, max(s.provider) AS provider,
    max(s.recipient_domain) AS recipient_domain, max(s.campaign) AS campaign, max(s.sending_ip) AS sending_ip,
    min(s.first_event) AS first_event, max(s.last_event) AS last_event,
    min(s.processed) AS processed, min(s.deferred) AS deferred, min(s.delivered) AS delivered, min(s.bounced) AS bounced,
    min(s.blocked) AS blocked, min(s.failed) AS failed, min(s.first_open) AS first_open,
    min(s.first_open_by_person) AS first_open_by_person, min(s.first_click) AS first_click,
    min(s.first_click_by_person) AS first_click_by_person, min(s.complained) AS complained, min(s.unsubscribed) AS unsubscribed,
    max(s.outcome) AS outcome, max(s.received_at) AS received_at,
    groupUniqArrayArray(s.open_acts) AS open_acts, groupUniqArrayArray(s.click_acts) AS click_acts, maxMap(s.weights) AS weights
FROM day_state AS s
WHERE message IN (SELECT message FROM spread)
GROUP BY message
SETTINGS max_threads = 2

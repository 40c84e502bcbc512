-- Counts messages by day anew, from messages_state as it is by now.
INSERT INTO day_state
(
    mailbox_provider, source, message, provider, recipient_domain, campaign, sending_ip, first_event,
    last_event, processed, deferred, delivered, bounced, blocked, failed, first_open, first_open_by_person,
    first_click, first_click_by_person, complained, unsubscribed, outcome, received_at, open_acts, click_acts,
    weights, stored
)
SELECT
    mailbox_provider, source, sipHash128(message_id, source, recipient_hash) AS message, provider, recipient_domain, campaign, sending_ip,
    first_event, last_event, processed, deferred, delivered, bounced, blocked, failed, first_open, first_open_by_person,
    first_click, first_click_by_person, complained, unsubscribed, outcome, received_at,
    arrayMap(act -> (act.1, sipHash64(act.2), act.3, act.4), s.open_acts) AS open_acts,
    arrayMap(act -> (act.1, sipHash64(act.2), act.3, act.4), s.click_acts) AS click_acts,
    weights,
    now('UTC') AS stored
FROM messages_state AS s FINAL
WHERE message_id IN {messages:Array(String)}

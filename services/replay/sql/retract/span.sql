-- When the events of messages are. messages_state has them by message, but nothing of those
-- that a run which was killed took out to be counted anew; person_log has all that name
-- a person.
SELECT toUnixTimestamp64Milli(min(first)) AS from, toUnixTimestamp64Milli(max(last)) AS to
FROM
(
    SELECT first_event AS first, last_event AS last
    FROM messages_state
    WHERE message_id IN {messages:Array(String)}
    UNION ALL
    SELECT time AS first, time AS last
    FROM person_log
    WHERE recipient_hash IN {people:Array(String)} AND message_id IN {messages:Array(String)}
)
HAVING count() > 0

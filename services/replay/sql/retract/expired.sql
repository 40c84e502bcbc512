-- Messages of which messages_state knows an event that event_log no longer has: it was
-- stored, and is past its retention. first_event and last_event may be of any type.
SELECT DISTINCT message_id
FROM
(
    SELECT
        message_id, source, recipient_hash,
        arrayJoin([
            ('', toNullable(min(first_event))), ('', toNullable(max(last_event))),
            ('processed', min(processed)), ('deferred', min(deferred)), ('delivered', min(delivered)), ('bounced', min(bounced)),
            ('blocked', min(blocked)), ('failed', min(failed)), ('opened', min(first_open)), ('clicked', min(first_click)),
            ('complained', min(complained)), ('unsubscribed', min(unsubscribed))
        ]) AS known
    FROM messages_state
    WHERE message_id IN {messages:Array(String)}
    GROUP BY message_id, source, recipient_hash
)
WHERE isNotNull(known.2)
  AND (message_id, source, recipient_hash, known.1, assumeNotNull(known.2)) NOT IN
(
    SELECT message_id, source, recipient_hash, arrayJoin(['', toString(type)]), time
    FROM event_log
    WHERE time >= fromUnixTimestamp64Milli({from:Int64}) AND time <= fromUnixTimestamp64Milli({to:Int64})
      AND message_id IN {messages:Array(String)}
)

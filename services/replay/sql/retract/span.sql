-- When the events of messages are: messages_state has them by message, event_log by day.
SELECT ifNull(toUnixTimestamp64Milli(min(first_event)), 0) AS from, ifNull(toUnixTimestamp64Milli(max(last_event)), 0) AS to
FROM messages_state
WHERE message_id IN {messages:Array(String)}

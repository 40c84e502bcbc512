-- What campaign_state calls these messages; messages_state knows of which people they are.
SELECT DISTINCT hex(sipHash128(message_id, source, recipient_hash)) AS hash
FROM messages_state
WHERE message_id IN {messages:Array(String)}

-- Takes messages out of campaign_state, to be counted anew. It goes by messages_state,
-- so it comes before the same there.
DELETE FROM campaign_state {{on_cluster}}
WHERE message IN (SELECT sipHash128(message_id, source, recipient_hash) FROM messages_state WHERE message_id IN {messages:Array(String)})

-- Takes messages out of messages_state, to be counted anew.
DELETE FROM messages_state {{on_cluster}}
WHERE message_id IN {messages:Array(String)}

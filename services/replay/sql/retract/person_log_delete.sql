-- Takes away what event_log loses by drop.sql: the same events, by person.
DELETE FROM person_log {{on_cluster}}
WHERE recipient_hash IN {hashes:Array(String)} AND toString(id) IN {ids:Array(String)}

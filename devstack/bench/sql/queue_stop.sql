-- Ends the consumers of the reference.
DROP TABLE queue_fill

-- Makes the reference leave its group.
DROP TABLE queue

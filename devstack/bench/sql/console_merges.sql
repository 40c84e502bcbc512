-- How many merges of the tables run.
SELECT count() FROM system.merges WHERE database = 'mailstream'

-- Whether the database is there, asked before it is created: a user who may
-- migrate it need not have the right to create databases.
SELECT name
FROM system.databases
WHERE name = {database:String}

-- The names that may stand behind FORMAT. Asked once at start.
SELECT name FROM system.formats

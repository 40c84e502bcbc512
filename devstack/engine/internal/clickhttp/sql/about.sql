-- What every answer's headers say about the server. Asked once at start.
SELECT version(), displayName(), timezone()

-- The id that the client gave: in the mark behind ours, a UUID, and a space.
substring(Settings['log_comment'], 38)

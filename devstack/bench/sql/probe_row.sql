-- Whether one probe is a row of the view. The last minute and the type keep it to
-- a few granules.
SELECT count()
FROM mailstream.events
WHERE time > now() - 60 AND type = 'opened' AND message_id = {message_id:String}

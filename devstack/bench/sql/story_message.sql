-- A message's story.
SELECT time, type FROM message_story(message_id = '{{value}}') ORDER BY ALL

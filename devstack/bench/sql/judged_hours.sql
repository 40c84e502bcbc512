-- How many hours were judged, those that are judged again at least once.
SELECT count() FROM hour_judgements

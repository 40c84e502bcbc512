-- Dead letters that hold data of people, by their ids.
SELECT count() AS rows
FROM dead_letter_log
WHERE id IN {letters:Array(String)}

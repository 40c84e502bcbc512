-- How many dead letters an operation has closed.
SELECT count() AS closed FROM dead_letter_states FINAL WHERE operation = {operation:String}

-- Ends the query whose client has gone. The mark of the query follows as a literal: KILL takes no parameters.
KILL QUERY WHERE Settings['log_comment'] = 

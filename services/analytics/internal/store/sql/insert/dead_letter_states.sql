-- Stores what became of dead letters.
INSERT INTO dead_letter_states
(
    id, state, at, operation, note, version
)

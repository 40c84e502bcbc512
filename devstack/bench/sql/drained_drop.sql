-- Makes room for the next measurement.
DROP DATABASE {{database}}

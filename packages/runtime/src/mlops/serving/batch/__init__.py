"""Files of rows, scored so that a kill loses and doubles nothing."""

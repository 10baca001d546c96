"""An operation of one's own."""

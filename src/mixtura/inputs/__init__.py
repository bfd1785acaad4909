"""What comes from a user, checked: arrays, parameters, tables."""

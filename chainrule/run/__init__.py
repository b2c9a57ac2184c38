"""The only stage with side effects: arrays, execution."""

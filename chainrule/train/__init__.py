"""Training: initial values, schedules, update rules, the loop, and what it shows meanwhile."""

"""Problems with worked solutions, made from a seed, and the marking of answers."""

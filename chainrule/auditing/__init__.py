"""Documents audited: their equations found, matched to the model they state, and checked."""

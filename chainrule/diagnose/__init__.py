"""What is wrong with a backward pass that was written by hand."""

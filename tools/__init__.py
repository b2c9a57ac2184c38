"""What the repository needs and the package does not: generators of documentation pages."""

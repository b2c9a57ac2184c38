"""What a training step costs here, and what it costs elsewhere, measured side by side."""

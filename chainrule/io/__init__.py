"""Tables, arrays and images: files in, checked numbers out. `load` is the front door."""

"""What the bytes are: samples, their borders and their loudness."""

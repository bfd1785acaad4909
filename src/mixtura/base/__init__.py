"""What every room uses: arrays, errors, how things are numbered and named."""

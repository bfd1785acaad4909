"""What every room uses: arrays, errors, the native extension, how things are numbered and named."""

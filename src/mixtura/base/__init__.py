"""What all packages use: arrays, errors, the native extension, numbering, threads, signals."""

"""Which family and how many components: criteria over a grid, merging, tests."""

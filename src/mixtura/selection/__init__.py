"""Which family and how many components: the race, criteria over a grid, merging, tests."""

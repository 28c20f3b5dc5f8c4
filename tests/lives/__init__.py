"""Random lives of random people, through every door, held against a model too small to be wrong."""

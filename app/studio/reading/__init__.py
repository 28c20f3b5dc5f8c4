"""What pages show, read in a fixed number of queries each; modules are named after it. Nothing here writes."""

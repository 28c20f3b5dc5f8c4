"""What pages show, read in a fixed number of queries each; modules are named after what they show. Nothing here writes."""

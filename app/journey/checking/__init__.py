"""What a workflow means, checked before anyone enters it: `steps`, `timing`, `reviews` (R40 to R43) on a `ground`."""

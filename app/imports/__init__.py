"""Lists of people from files: read, mapped, tried, taken in with a verdict for every row, and taken back."""

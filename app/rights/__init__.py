"""What people may ask of whoever keeps their data: a copy, the proof of their consents, erasure; and how long
it stays."""

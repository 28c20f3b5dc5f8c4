"""What each kind of step does to a walk: those that act, those that choose a way, those that wait."""

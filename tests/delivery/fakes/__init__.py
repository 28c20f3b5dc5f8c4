"""Stand-ins for mail providers: real HTTP servers on this machine that behave as the providers' documentation says."""

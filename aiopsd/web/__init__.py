"""Where the daemon answers over HTTP."""

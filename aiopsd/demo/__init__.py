"""A toy shop of real processes that breaks and heals before your eyes."""

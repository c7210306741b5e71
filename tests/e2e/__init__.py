"""A real daemon as a process, against parts that the test breaks."""

"""The daemon's engine over what is past: tables in files, and Prometheus' history."""

"""From anomalies to incidents with ranked causes. Pure: time comes in as data."""

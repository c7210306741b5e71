"""The way from an incident to a healed one: playbooks, the gate, runs and their proof."""

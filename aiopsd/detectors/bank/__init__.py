"""The inside of ``band``: a forecast and a novelty half, and when to speak of what they see."""

"""What is told to nobody and acted on by nothing: silences, windows, what another explains, storms.

All of it goes on being detected, journalled and grouped, is shown, and ends.
"""

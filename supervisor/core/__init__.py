"""The pure room: no I/O, no clock, no asyncio, no logging.

It decides; others do. States, events, effects, the transition table, restart policy, the shutdown plan, wait-status
decoding. A test walks the imports of this room and holds it to that.
"""

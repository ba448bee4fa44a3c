"""Chance without drawing: shares that look random and are a function of what they are made from.

So the core stays a function of its arguments. No checksum is one: those of similar texts differ alike, whatever else is
in them, so that the delays of ``web#1`` and ``web#2`` could be alike each time. And :mod:`hashlib` loads OpenSSL.
"""

_WORD = 0xFFFF_FFFF_FFFF_FFFF


def share(*of: object) -> float:
    """From 0 up to 1, another one for each text of these values: FNV-1a, and the last mixing of MurmurHash3 over it."""
    word = 0xCBF2_9CE4_8422_2325
    for byte in ":".join(map(str, of)).encode():
        word = (word ^ byte) * 0x100_0000_01B3 & _WORD
    for factor in (0xFF51_AFD7_ED55_8CCD, 0xC4CE_B9FE_1A85_EC53):
        word = (word ^ word >> 33) * factor & _WORD
    return (word ^ word >> 33) / _WORD

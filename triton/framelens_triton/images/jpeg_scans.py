"""Counts a JPEG's scans from its markers, without decoding it."""

import re

# ITU-T T.81, table B.1. Inside a scan's data FF is followed by 00 or a restart marker; FF FF is padding.
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
_START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN, _TEMPORARY = 0xD8, 0xD9, 0xDA, 0x01
_WITHOUT_LENGTH = (_START_OF_IMAGE, _TEMPORARY)


def has_more_scans(data: bytes, limit: int) -> bool:
    """Whether a JPEG has more than `limit` scans; what follows its end, such as a phone's video, is not looked at."""
    scans, position = 0, 0
    while marker := _MARKER.search(data, position):
        code, position = marker[1][0], marker.end()
        if code == _END_OF_IMAGE:
            return False
        if code == _START_OF_SCAN:
            scans += 1
            if scans > limit:
                return True
        if code not in _WITHOUT_LENGTH:
            position += int.from_bytes(data[position : position + 2])
    return False


def is_complete(data: bytes) -> bool:
    """Whether a JPEG has its end marker: without it, some decoders show what there is, and others refuse it."""
    position = 0
    while marker := _MARKER.search(data, position):
        code, position = marker[1][0], marker.end()
        if code == _END_OF_IMAGE:
            return True
        if code not in _WITHOUT_LENGTH:
            position += int.from_bytes(data[position : position + 2])
    return False

"""A tiny ONNX network, written byte by byte: the mean of each colour of an image."""


def _varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def _field(number, value):
    """A field of protocol buffers: a number, or text, bytes or a message."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    value = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _tensor(name, shape):
    dims = b"".join(_field(1, _field(1, size)) for size in shape)
    kind = _field(1, _field(1, 1) + _field(2, dims))  # float32
    return _field(1, name) + _field(2, kind)


def mean_of_colours(side):
    """The bytes of a network from (1, 3, side, side) to (1, 3)."""
    pool = _field(1, "image") + _field(2, "pooled") + _field(4, "GlobalAveragePool")
    flat = _field(1, "pooled") + _field(2, "means") + _field(4, "Flatten")
    graph = _field(1, pool) + _field(1, flat) + _field(2, "means of colours")
    graph += _field(11, _tensor("image", (1, 3, side, side)))
    graph += _field(12, _tensor("means", (1, 3)))
    return _field(1, 8) + _field(7, graph) + _field(8, _field(1, "") + _field(2, 13))

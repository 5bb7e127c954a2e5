"""Records compared with the record before them, in compiled code.

`match` walks through records that follow one template: it compares each with the previous one, 32 bytes at a time, and
reads again only the values that differ. Bytes that are equal have the previous record's meaning, so nothing else has
to be looked at. At the first byte that the template does not allow it stops in front of that record.

A number is read as `float` reads it, correctly rounded: by one exact operation where its digits and its power of ten
are exact as doubles (Clinger, PLDI 1990), otherwise from 128 bits of the power of ten, which decide all but very few
cases (Lemire, "Number parsing at a gigabyte per second", 2021). The few are left to the caller, as are numbers of more
than 19 significant digits, of subnormal size, or beyond all doubles.

All functions take addresses. The bytes from `stop` on must be 0, at least `PAD` of them: no value and no template
contains a 0, so nothing is read past them. This module needs numba; `daf.compute.compiling` imports it.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from daf.streams._gathering import PAD, ROWS

NULL, NOT_FINITE = 1, 2
"""States of a value that is not a number; 0: it is one."""
_U = np.uint64
_BYTE, _WORD, _WIDE = ir.IntType(8), ir.IntType(64), ir.VectorType(ir.IntType(8), 32)
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "boundscheck": False}


def _instruction(result: Any, *arguments: Any) -> Any:
    """A function of LLVM instructions that numba has no Python for, made from `generate(builder, *values)`."""

    def made(generate: Any) -> Any:
        def typed(*_: Any) -> Any:
            return result(*arguments), lambda context, builder, signature, values: generate(builder, *values)

        wrappers = {1: lambda typing, a: typed(), 2: lambda typing, a, b: typed()}
        return intrinsic(wrappers[len(arguments)])

    return made


def _loaded(builder: Any, address: Any, kind: Any) -> Any:
    return builder.load(builder.inttoptr(address, kind.as_pointer()), align=1)


_byte = _instruction(types.int64, types.int64)(lambda b, at: b.zext(_loaded(b, at, _BYTE), _WORD))
_word = _instruction(types.uint64, types.int64)(lambda b, at: _loaded(b, at, _WORD))
_differing = _instruction(types.uint32, types.int64, types.int64)(
    lambda b, x, y: b.bitcast(b.icmp_unsigned("!=", _loaded(b, x, _WIDE), _loaded(b, y, _WIDE)), ir.IntType(32))
)
"""A bit for each of 32 bytes that differs between two addresses."""
_zeros_below = _instruction(types.int64, types.uint64)(lambda b, word: b.cttz(word, ir.Constant(ir.IntType(1), 1)))
_zeros_above = _instruction(types.int64, types.uint64)(lambda b, word: b.ctlz(word, ir.Constant(ir.IntType(1), 1)))
_product_above = _instruction(types.uint64, types.uint64, types.uint64)(
    lambda b, x, y: b.trunc(
        b.lshr(b.mul(b.zext(x, ir.IntType(128)), b.zext(y, ir.IntType(128))), ir.Constant(ir.IntType(128), 64)), _WORD
    )
)
"""The upper half of the 128 bits of a product."""
_double = _instruction(types.float64, types.uint64)(lambda b, bits: b.bitcast(bits, ir.DoubleType()))
"""The double that has these bits."""

_LEAST, _GREATEST = -342, 308
"""Powers of ten outside this range make any 19 digits 0 or infinite."""


def _powers() -> Any:
    """The first 128 bits of each power of ten, rounded down, as two words."""
    table = np.empty((_GREATEST - _LEAST + 1, 2), np.uint64)
    for power in range(_LEAST, _GREATEST + 1):
        whole = 10 ** abs(power)
        value = whole << 128 if power >= 0 else (1 << whole.bit_length() + 128) // whole
        value >>= value.bit_length() - 128
        table[power - _LEAST] = value >> 64, value & (2**64 - 1)
    return table


_POWERS = _powers()
_EXACT_TENS = 10.0 ** np.arange(23)
_TENS = np.array([10**power for power in range(9)], np.uint64)
_ZEROS = 0x3030303030303030
"""Eight characters 0."""


@njit(**_OPTIONS)  # type: ignore[untyped-decorator]
def scaled(digits: Any, power: Any) -> Any:
    """digits · 10**power, correctly rounded; NaN where that takes more than 128 bits of the power, or the result is
    not a normal double.
    """
    if digits <= _U(1 << 53) and -22 <= power <= 22:
        exact = np.float64(digits)
        return exact / _EXACT_TENS[-power] if power < 0 else exact * _EXACT_TENS[power]
    if digits == _U(0):
        return 0.0
    if power < _LEAST or power > _GREATEST:
        return np.nan
    zeros = _zeros_above(digits)
    digits <<= _U(zeros)
    # 217706 / 2**16 is log2(10), precise enough for the floor of every power in the table.
    exponent = ((217706 * power) >> 16) + 1087 - zeros
    factor = _POWERS[power - _LEAST, 0]
    high, low = _product_above(digits, factor), digits * factor
    if high & _U(0x1FF) == _U(0x1FF) and low + digits < low:  # what was cut off the power could carry into the result
        factor = _POWERS[power - _LEAST, 1]
        more, least = _product_above(digits, factor), digits * factor
        low += more
        if low < more:
            high += _U(1)
        if high & _U(0x1FF) == _U(0x1FF) and low + _U(1) == _U(0) and least + digits < least:
            return np.nan
    top = high >> _U(63)
    mantissa = high >> (top + _U(9))
    exponent -= 1 - np.int64(top)
    if low == _U(0) and high & _U(0x1FF) == _U(0) and mantissa & _U(3) == _U(1):
        return np.nan  # halfway between two doubles, as far as these bits show
    mantissa = (mantissa + (mantissa & _U(1))) >> _U(1)
    if mantissa >> _U(53):
        mantissa >>= _U(1)
        exponent += 1
    if exponent < 1 or exponent > 2046:
        return np.nan
    return _double((_U(exponent) << _U(52)) | (mantissa & _U((1 << 52) - 1)))


@njit(**_OPTIONS)  # type: ignore[untyped-decorator]
def _digits(word: Any) -> Any:
    """How many of the eight characters are digits, from the first on."""
    lowered = word ^ _U(_ZEROS)
    others = ((lowered + _U(0x7676767676767676)) | lowered) & _U(0x8080808080808080)
    return _zeros_below(others) >> 3 if others else 8


@njit(**_OPTIONS)  # type: ignore[untyped-decorator]
def _value(word: Any, n: Any) -> Any:
    """The number that the first `n` (1 to 8) characters spell: pairs, then fours, then all in one multiplication."""
    if n < 8:
        word = (word << _U(64 - 8 * n)) | (_U(_ZEROS) >> _U(8 * n))
    pairs = word - _U(_ZEROS)
    pairs = pairs * _U(10) + (pairs >> _U(8))
    even = (pairs & _U(0x000000FF000000FF)) * _U(0x000F424000000064)
    odd = ((pairs >> _U(16)) & _U(0x000000FF000000FF)) * _U(0x0000271000000001)
    return (even + odd) >> _U(32)


@njit(**_OPTIONS)  # type: ignore[untyped-decorator]
def _run(at: Any) -> Any:
    """Where the digits from `at` on end."""
    n = 8
    while n == 8:
        n = _digits(_word(at))
        at += n
    return at


@njit(**_OPTIONS)  # type: ignore[untyped-decorator]
def number(at: Any) -> Any:
    """The number at `at` as JSON spells it: where it ends, and its value. The end is 0 where there is none, or where
    it is for the caller to read.
    """
    minus = _byte(at) == 45
    start = at + 1 if minus else at
    word = _word(start)
    n = _digits(word)
    if n == 0 or (n > 1 and word & _U(0xFF) == _U(48)):
        return 0, 0.0
    digits = _value(word, n)
    at = start + n
    while n == 8:
        word = _word(at)
        n = _digits(word)
        at += n
        if at - start > 19:
            return 0, 0.0
        if n:
            digits = digits * _TENS[n] + _value(word, n)
    follower = _byte(at)
    if follower != 46 and follower != 101 and follower != 69:
        whole = np.float64(digits)
        return at, -whole if minus and digits else whole  # the whole number -0 is 0
    power = 0
    if follower == 46:
        significant = at - start if digits else 0
        at += 1
        start = at
        n = 8
        while n == 8:
            word = _word(at)
            n = _digits(word)
            if n:
                if significant == 0:
                    leading = (word ^ _U(_ZEROS)) << _U(64 - 8 * n)
                    significant = n - ((_zeros_below(leading) - (64 - 8 * n)) >> 3) if leading else 0
                else:
                    significant += n
                if significant > 19:
                    return 0, 0.0
                digits = digits * _TENS[n] + _value(word, n)
                at += n
        if at == start:
            return 0, 0.0
        power = start - at
        follower = _byte(at)
    if follower == 101 or follower == 69:
        at += 1
        sign = _byte(at)
        if sign == 43 or sign == 45:
            at += 1
        word = _word(at)
        n = _digits(word)
        if n == 0 or n > 4:
            return 0, 0.0
        exponent: Any = np.int64(_value(word, n))
        power += -exponent if sign == 45 else exponent
        at += n
    value = scaled(digits, power)
    if value != value:
        return 0, 0.0
    return at, -value if minus else value


@njit(**_OPTIONS)  # type: ignore[untyped-decorator]
def _absent(at: Any) -> Any:
    """The null, NaN, Infinity or -Infinity at `at`: where it ends and its state; 0 where there is none."""
    first = _byte(at)
    if first == 110 and _word(at) & _U(0xFFFFFFFF) == _U(0x6C6C756E):
        return at + 4, NULL
    if first == 78 and _word(at) & _U(0xFFFFFF) == _U(0x4E614E):
        return at + 3, NOT_FINITE
    if first == 45:
        at += 1
    if _word(at) == _U(0x7974696E69666E49):
        return at + 8, NOT_FINITE
    return 0, 0


@njit(**_OPTIONS)  # type: ignore[untyped-decorator]
def _skipped(at: Any) -> Any:
    """Where the number, word or string without escapes at `at` ends, which is not read; 0 where there is none."""
    first = _byte(at)
    if first == 34:
        at += 1
        character = _byte(at)
        while character != 34:
            if character < 32 or character == 92:
                return 0
            at += 1
            character = _byte(at)
        return at + 1
    if first == 116:
        return at + 4 if _word(at) & _U(0xFFFFFFFF) == _U(0x65757274) else 0
    if first == 102:
        return at + 5 if _word(at) & _U(0xFFFFFFFFFF) == _U(0x65736C6166) else 0
    begin = at
    start = at + 1 if first == 45 else at
    at = _run(start)
    if at == start:
        return _absent(begin)[0]
    if at - start > PAD or (at - start > 1 and _byte(start) == 48):
        return 0
    follower = _byte(at)
    if follower == 46:
        start = at + 1
        at = _run(start)
        if at == start:
            return 0
        follower = _byte(at)
    if follower == 101 or follower == 69:
        sign = _byte(at + 1)
        start = at + 2 if sign == 43 or sign == 45 else at + 1
        at = _run(start)
        if at == start:
            return 0
    return at


@njit(
    "UniTuple(int64, 2)(int64, int64, uint8[::1], int64[::1], int64[::1], int64[::1], int64[::1], float64[::1], "
    "int64[:, ::1], float64[:, ::1], int64, uint8[::1], int64)",
    cache=True,
    **_OPTIONS,
)
def match(
    at: Any,
    stop: Any,
    previous: Any,
    fixed: Any,
    lengths: Any,
    columns: Any,
    states: Any,
    values: Any,
    absent: Any,
    rows: Any,
    row: Any,
    separator: Any,
    n_separator: Any,
) -> Any:
    """Read records from `at` on into `rows` (columns, `ROWS` or more) from `row` on; returns the end of the last one
    (`at` if there is none) and the next row.

    The record before them, or the template's, is `previous`, with room for `PAD` more bytes. Its value i has
    `lengths[i]` bytes, comes after `fixed[i]` bytes that must be the same, goes to column `columns[i]` (-1: it is not
    read) and has the state `states[i]`; `values` are those of its columns. All of it then describes the last record.
    `absent[i, state - 1]` counts the values that are not numbers. Between two records are the first `n_separator`
    (at most 32) bytes of `separator`.
    """
    slots = len(lengths)
    changed = np.empty((slots, 3), np.int64)
    fresh = np.empty(slots, np.float64)
    between = (_U(1) << _U(n_separator)) - _U(1)
    begin = np.int64(previous.ctypes.data)
    end = begin + fixed[slots]
    odd = 0
    for i in range(slots):
        end += fixed[i] + lengths[i]
        if states[i]:
            odd += 1
    first_end = end
    last = at
    while row < ROWS:
        p, q = begin, at
        i, n = 0, 0
        value_at = begin + fixed[0]
        while True:
            different = _differing(p, q)
            while different == 0:
                p += 32
                q += 32
                if p >= end:
                    break
                different = _differing(p, q)
            if different != 0:
                equal = _zeros_below(_U(different))
                p += equal
                q += equal
            if p >= end:
                break
            while i < slots and value_at + lengths[i] < p:
                value_at += lengths[i] + fixed[i + 1]
                i += 1
            if i == slots or p < value_at:
                n = -1  # a byte of the template itself
                break
            q -= p - value_at
            value, state = 0.0, 0
            if columns[i] < 0:
                after = _skipped(q)
            else:
                after, value = number(q)
                if after == 0:
                    after, state = _absent(q)
                    value = np.nan
            if after == 0:
                n = -1
                break
            changed[n, 0], changed[n, 1], changed[n, 2] = i, after - q, state
            fresh[n] = value
            n += 1
            p, q = value_at + lengths[i], after
            i += 1
            value_at = p + fixed[i]
        q -= p - end
        if n < 0 or q > stop or q - at > len(previous) - PAD:
            break
        for k in range(n):
            i = changed[k, 0]
            lengths[i] = changed[k, 1]
            if columns[i] >= 0:
                values[columns[i]] = fresh[k]
                odd += (1 if changed[k, 2] else 0) - (1 if states[i] else 0)
                states[i] = changed[k, 2]
        if odd:
            for i in range(slots):
                if states[i]:
                    absent[i, states[i] - 1] += 1
        for column in range(len(values)):
            rows[column, row] = values[column]
        row += 1
        begin, end, last = at, q, q
        at = q + n_separator
        if _U(_differing(q, np.int64(separator.ctypes.data))) & between:
            break
    if end != first_end:
        for i in range(end - begin):
            previous[i] = _byte(begin + i)
        previous[end - begin : end - begin + PAD] = 0
    return last, row

"""The text of the matrix product: small, in registers, and with the same bits for a row whatever rows run beside it.

C (+)= A B, with the rows of B and C contiguous: a tile, some rows and a few registers of columns of C, is summed up in
registers while k runs, B read by vectors and A by single numbers, so that A may as well be a transposed matrix. A
training step of a small network multiplies matrices of some 20 x 50 x 50, where a BLAS library spends as much time on
finding its way as on the sums, and where its threads are in the way of ours.
"""

# mypy: ignore-errors
from __future__ import annotations

# Registers of columns in a tile, and rows of the tiles that go with them, for 16 and for 32 registers of the machine:
# the sums take all but those for one row of B and one number of A.
_TILES = {16: {3: (4, 2, 1), 1: (10, 4, 2, 1)}, 32: {3: (8, 4, 2, 1), 1: (20, 4, 2, 1)}}


def product_text(width: int, registers: int) -> str:
    """Return the text of `multiply` for a machine of 16 or 32 `registers` of `width` numbers."""
    tiles = [(vectors, width, heights) for vectors, heights in _TILES[registers].items()]
    if width > 4:
        tiles.append((1, 4, _TILES[registers][1]))
    if width > 8:
        tiles.insert(2, (1, 8, _TILES[registers][1]))
    out = [_tile(*tile[:2], rows) for tile in tiles for rows in tile[2]]
    return "\n".join([*out, *(_panel(*tile) for tile in tiles), _multiply(tiles)])


def _tile(vectors, lanes, rows):
    """Return the text of a function that computes a tile of C."""
    pairs = [(r, v) for r in range(rows) for v in range(vectors)]
    out = [
        "",
        "@inline",
        f"def tile_{rows}_{vectors}x{lanes}(a, a_at, a_row, a_k, b, b_at, b_row, c, c_at, c_row, n_k, add):",
        *(f"    s{r}_{v} = spread(ZERO, {lanes})" for r, v in pairs),
        "    for k in range(n_k):",
        *(f"        b{v} = load(b, b_at + k * b_row + {v * lanes}, {lanes})" for v in range(vectors)),
    ]
    for r in range(rows):
        out.append(f"        x = broadcast(a, a_at + {r} * a_row + k * a_k, {lanes})")
        out += [f"        s{r}_{v} = multiply_add(x, b{v}, s{r}_{v})" for v in range(vectors)]
    # C is added last: in one sum of thousands of products, where many are alike, roundings add up.
    out.append("    if add:")
    out += [f"        s{r}_{v} = s{r}_{v} + load(c, c_at + {r} * c_row + {v * lanes}, {lanes})" for r, v in pairs]
    out += [f"    store(c, c_at + {r} * c_row + {v * lanes}, s{r}_{v})" for r, v in pairs]
    return "\n".join(out) + "\n"


def _panel(vectors, lanes, heights):
    """Return the text of a loop over all rows of C, for the columns of one tile."""
    out = [
        "",
        "@inline",
        f"def panel_{vectors}x{lanes}(a, a_at, a_row, a_k, b, b_at, b_row, c, c_at, c_row, n_rows, n_k, add):",
        "    row = 0",
    ]
    for rows in heights:
        out += [
            f"    while row + {rows} <= n_rows:",
            f"        tile_{rows}_{vectors}x{lanes}(",
            "            a, a_at + row * a_row, a_row, a_k, b, b_at, b_row, c, c_at + row * c_row, c_row, n_k, add",
            "        )",
            f"        row += {rows}",
        ]
    return "\n".join(out) + "\n"


def _multiply(tiles):
    out = [
        "",
        # Numba compiles a copy for each set of constants in a call, which takes a while and makes steps a tenth faster.
        '@njit(nogil=True, error_model="numpy", fastmath=FLAGS)',
        "def multiply(a, a_at, a_row, a_k, b, b_at, b_row, c, c_at, c_row, n_rows, n_columns, n_k, add):",
        "    done = 0",
    ]
    for vectors, lanes, _ in tiles:
        out += [
            f"    while done + {vectors * lanes} <= n_columns:",
            f"        panel_{vectors}x{lanes}(",
            "            a, a_at, a_row, a_k, b, b_at + done, b_row, c, c_at + done, c_row, n_rows, n_k, add",
            "        )",
            f"        done += {vectors * lanes}",
        ]
    return "\n".join(out) + "\n"

"""What the golden tests need beyond a shell: .npy files, a terminal, flipped bytes. Standard library only."""

import fcntl
import os
import pty
import struct
import sys
import termios


def npy(path, dtype, shape, *values):
    shape = tuple(int(n) for n in shape.split(","))
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    kind = {"<f2": "e", "<f4": "f", "<f8": "d", "<i4": "i", ">f4": "f", "|i1": "b", "<u2": "H"}.get(dtype, "B")
    data = struct.pack(f"<{len(values)}{kind}", *(float(v) if kind in "efd" else int(v) for v in values))
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + data)


def tty(columns, *command):
    """Runs the command with its three streams on a terminal and prints what it wrote, escapes made visible."""
    main_end, other_end = pty.openpty()
    fcntl.ioctl(other_end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, int(columns), 0, 0))
    pid = os.fork()
    if pid == 0:
        os.close(main_end)
        os.setsid()
        for stream in range(3):
            os.dup2(other_end, stream)
        os.execvp(command[0], command)
    os.close(other_end)
    data = b""
    try:
        while part := os.read(main_end, 65536):
            data += part
    except OSError:
        pass
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    sys.stdout.write(data.replace(b"\r\n", b"\n").replace(b"\x1b", b"<ESC>").decode("utf-8", "backslashreplace"))
    sys.exit(code)


def flip_row(path, row):
    """Turns one bit of a vector in a segment, whose header says where rows begin and how long they are."""
    header = open(path, "rb").read(4096)
    stride, rows = struct.unpack_from("<Q", header, 64)[0], struct.unpack_from("<Q", header, 96)[0]
    flip(path, rows + int(row) * stride + 5)


def flip(path, offset):
    """Turns one bit of the byte at offset."""
    data = bytearray(open(path, "rb").read())
    data[int(offset)] ^= 1
    open(path, "wb").write(data)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def newer(path):
    """Makes a segment say that it has format 99, with a header checksum that is right."""
    data = bytearray(open(path, "rb").read())
    struct.pack_into("<I", data, 8, 99)
    struct.pack_into("<I", data, 4092, crc32c(data[:4092]))
    open(path, "wb").write(data)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])

"""A terminal for tests: runs a command on one, sends keys, and shows what stands on the screen. Standard library only.

    screen.py ROWSxCOLUMNS STEP... -- COMMAND...

A step is wait:TEXT (until the screen has it, at most 20 seconds), gone:TEXT, keys:TEXT (\\n, \\x1b and the like are
read as in Python), size:ROWSxCOLUMNS, rest:SECONDS, show (print the screen), sgr:TEXT (print how the first cell of
TEXT is shown), end (wait for the command's end) or png:FILE (a picture of the screen; takes Pillow). The emulator
knows what ncurses sends to TERM=xterm; anything else is an error, so that nothing is passed over in silence.
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

WAIT_S = 20
ESCAPE = re.compile(
    rb"\x1b(?:\[(?P<private>[?>=]?)(?P<numbers>[0-9;]*)(?P<final>[@-~])|(?P<charset>[()][0-9A-B])|(?P<single>[=>78MDEc]))"
)


class Screen:
    """Cells of (character, attributes), and a cursor."""

    def __init__(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.top, self.bottom = 0, rows - 1
        self.y = self.x = 0
        self.saved = (0, 0)
        self.style = frozenset()
        self.cells = [self.blank() for _ in range(rows)]
        self.last = " "
        self.rest = b""

    def blank(self):
        return [(" ", frozenset())] * self.columns

    def resize(self, rows, columns):
        self.cells = [(row + [(" ", frozenset())] * columns)[:columns] for row in self.cells]
        self.columns = columns
        self.cells = (self.cells + [self.blank() for _ in range(rows)])[:rows]
        self.rows = rows
        self.top, self.bottom = 0, rows - 1
        self.y, self.x = min(self.y, rows - 1), min(self.x, columns - 1)

    def lines(self):
        return ["".join(cell[0] for cell in row).rstrip() for row in self.cells]

    def scroll(self, count):
        for _ in range(abs(count)):
            if count > 0:
                del self.cells[self.top]
                self.cells.insert(self.bottom, self.blank())
            else:
                del self.cells[self.bottom]
                self.cells.insert(self.top, self.blank())

    def down(self):
        if self.y == self.bottom:
            self.scroll(1)
        else:
            self.y = min(self.y + 1, self.rows - 1)

    def put(self, character):
        if self.x >= self.columns:
            self.x = 0
            self.down()
        self.cells[self.y][self.x] = (character, self.style)
        self.x += 1
        self.last = character

    def feed(self, data):
        data = self.rest + data
        self.rest = b""
        at = 0
        while at < len(data):
            byte = data[at]
            if byte == 0x1B:
                match = ESCAPE.match(data, at)
                if not match:
                    if len(data) - at > 32:
                        raise ValueError(f"an unknown escape: {data[at : at + 16]!r}")
                    self.rest = data[at:]
                    return
                self.escape(match)
                at = match.end()
            elif byte < 0x20:
                self.control(byte)
                at += 1
            else:
                length = 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
                if len(data) - at < length:
                    self.rest = data[at:]
                    return
                self.put(data[at : at + length].decode("utf-8", "replace"))
                at += length

    def control(self, byte):
        if byte == 0x0D:
            self.x = 0
        elif byte == 0x0A:
            self.down()
        elif byte == 0x08:
            self.x = max(0, self.x - 1)
        elif byte == 0x09:
            self.x = min(self.columns - 1, self.x // 8 * 8 + 8)
        elif byte not in (0x07, 0x0E, 0x0F):
            raise ValueError(f"an unknown control byte: {byte:#x}")

    def escape(self, match):
        if match["charset"]:
            return
        if match["single"]:
            if match["single"] == b"M":
                self.scroll(-1) if self.y == self.top else None
                self.y = max(self.y - (self.y != self.top), 0)
            elif match["single"] == b"7":
                self.saved = (self.y, self.x)
            elif match["single"] == b"8":
                self.y, self.x = self.saved
            return
        final = match["final"].decode()
        if match["private"]:
            if final not in "hlc":
                raise ValueError(f"an unknown escape: {match[0]!r}")
            return
        numbers = [int(n) if n else 0 for n in match["numbers"].split(b";")]
        self.command(final, numbers, max(1, numbers[0]))

    def command(self, final, numbers, n):
        row = self.cells[self.y]
        moves = {"A": (-n, 0), "B": (n, 0), "C": (0, n), "D": (0, -n)}
        if final in moves:
            self.y = min(max(self.y + moves[final][0], 0), self.rows - 1)
            self.x = min(max(self.x + moves[final][1], 0), self.columns - 1)
        elif final in "Hf":
            self.y = min(n, self.rows) - 1
            self.x = min(max(1, numbers[1] if len(numbers) > 1 else 1), self.columns) - 1
        elif final == "G":
            self.x = min(n, self.columns) - 1
        elif final == "d":
            self.y = min(n, self.rows) - 1
        elif final == "J":
            start = self.y * self.columns + self.x if numbers[0] == 0 else 0
            for cell in range(start, self.rows * self.columns):
                self.cells[cell // self.columns][cell % self.columns] = (" ", frozenset())
        elif final == "K":
            span = {0: range(self.x, self.columns), 1: range(self.x + 1)}.get(numbers[0], range(self.columns))
            for x in span:
                row[x] = (" ", self.style & {"7"})
        elif final == "X":
            for x in range(self.x, min(self.x + n, self.columns)):
                row[x] = (" ", frozenset())
        elif final == "P":
            self.cells[self.y] = (row[: self.x] + row[self.x + n :] + self.blank())[: self.columns]
        elif final == "@":
            self.cells[self.y] = (row[: self.x] + self.blank()[:n] + row[self.x :])[: self.columns]
        elif final in "LM":
            top, self.top = self.top, self.y
            self.scroll(n if final == "M" else -n)
            self.top = top
        elif final in "ST":
            self.scroll(n if final == "S" else -n)
        elif final == "b":
            for _ in range(n):
                self.put(self.last)
        elif final == "r":
            self.top = n - 1
            self.bottom = (numbers[1] if len(numbers) > 1 else self.rows) - 1
            self.y = self.x = 0
        elif final == "m":
            for number in numbers:
                self.style = frozenset() if number == 0 else self.style | {str(number)}
        elif final not in "hlt":
            raise ValueError(f"an unknown escape: {final} {numbers}")


class Session:
    """A command on a terminal."""

    def __init__(self, size, command):
        self.screen = Screen(*size)
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            time.sleep(0.05)  # until the terminal has its size
            os.execvp(command[0], command)
        self.size(*size, tell=False)
        self.status = None

    def size(self, rows, columns, tell=True):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if tell:
            self.screen.resize(rows, columns)
            os.kill(self.pid, signal.SIGWINCH)

    def read(self, seconds):
        """Takes what comes in that time; False at the end."""
        if select.select([self.fd], [], [], seconds)[0]:
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                data = b""
            if not data:
                return False
            self.screen.feed(data)
        return True

    def until(self, holds, what):
        last = time.monotonic() + WAIT_S
        while not holds():
            if time.monotonic() > last or not self.read(0.05):
                print(f"waited in vain for {what}; the screen:")
                self.show()
                os.kill(self.pid, signal.SIGKILL)
                sys.exit(1)

    def settle(self):
        """Until nothing has come for a moment."""
        while select.select([self.fd], [], [], 0.15)[0] and self.read(0):
            pass

    def show(self):
        self.settle()
        frame = "+" + "-" * self.screen.columns + "+"
        print(frame)
        for line in self.screen.lines():
            print(f"|{line:<{self.screen.columns}}|")
        print(frame)

    def style_of(self, text):
        self.settle()
        for row, line in zip(self.screen.cells, self.screen.lines(), strict=True):
            if text in line:
                return " ".join(sorted(row[line.index(text)][1])) or "plain"
        return "not there"

    def end(self):
        last = time.monotonic() + WAIT_S
        while self.read(0.05) and time.monotonic() < last:
            pass
        print(f"ended with {os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])}")


def numbers(text):
    rows, columns = text.split("x")
    return int(rows), int(columns)


def main():
    at = sys.argv.index("--")
    session = Session(numbers(sys.argv[1]), sys.argv[at + 1 :])
    for step in sys.argv[2:at]:
        kind, _, text = step.partition(":")
        if kind == "wait":
            session.until(lambda: any(text in line for line in session.screen.lines()), repr(text))  # noqa: B023
        elif kind == "gone":
            session.until(
                lambda: not any(text in line for line in session.screen.lines()),  # noqa: B023
                f"{text!r} to go",
            )
        elif kind == "keys":
            os.write(session.fd, text.encode().decode("unicode_escape").encode("latin-1"))
        elif kind == "size":
            session.size(*numbers(text))
        elif kind == "rest":
            last = time.monotonic() + float(text)
            while time.monotonic() < last:
                session.read(0.05)
        elif kind == "show":
            session.show()
        elif kind == "sgr":
            print(f"{text}: {session.style_of(text)}")
        elif kind == "signal":
            os.kill(session.pid, getattr(signal, text))
        elif kind == "end":
            session.end()
        elif kind == "png":
            import screenshot

            screenshot.draw(session.screen, text)
        else:
            sys.exit(f"no such step: {step}")


if __name__ == "__main__":
    main()

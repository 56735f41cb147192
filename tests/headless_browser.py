"""A Chromium without a window, driven through its debugging pipe; and what is in the pictures it makes.

Needs python3's standard library only.
"""
import base64
import json
import os
import shutil
import signal
import struct
import subprocess
import zlib

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
TIMEOUT = 60  # seconds for one answer of the browser


def find_browser():
    """A Chromium that starts, or None and why not."""
    reasons = []
    for name in BROWSERS:
        path = shutil.which(name)
        if not path:
            continue
        try:
            got = subprocess.run([path, "--headless", "--no-sandbox", "--version"], stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=TIMEOUT)
        except (OSError, subprocess.TimeoutExpired) as error:
            reasons.append("%s: %s" % (path, error))
            continue
        text = got.stdout.decode(errors="replace").strip()
        if got.returncode == 0 and "snap" not in text:
            return path, text
        reasons.append("%s: %s" % (path, text or "does not start"))
    return None, "; ".join(reasons) or "none of %s is installed" % ", ".join(BROWSERS)


class Browser:
    """Chromium's own protocol over two pipes: JSON, each message ended by a zero byte."""

    def __init__(self, path, folder):
        ours, theirs = os.pipe()
        answers, writes = os.pipe()

        def take_pipes():  # the browser reads descriptor 3 and writes 4
            os.setsid()
            spare = (os.dup2(ours, 100), os.dup2(writes, 101))
            os.dup2(spare[0], 3)
            os.dup2(spare[1], 4)

        self.log = open(os.path.join(folder, "browser.log"), "wb")
        self.process = subprocess.Popen(
            [path, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage",
             "--user-data-dir=" + os.path.join(folder, "profile"), "--remote-debugging-pipe"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, preexec_fn=take_pipes, close_fds=False)
        os.close(ours)
        os.close(writes)
        self.to, self.answers = theirs, answers
        self.number, self.buffer, self.events = 0, b"", []
        self.session = None

    def send(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.to, data):]
        return self.number

    def receive(self):
        end = self.buffer.find(b"\0")
        while end < 0:
            piece = os.read(self.answers, 1 << 20)
            if not piece:
                raise RuntimeError("the browser ended; see browser.log")
            self.buffer += piece
            end = self.buffer.find(b"\0")
        message, self.buffer = self.buffer[:end], self.buffer[end + 1:]
        return json.loads(message)

    def call(self, method, **params):
        number = self.send(method, **params)
        signal.alarm(TIMEOUT)
        try:
            while True:
                message = self.receive()
                if message.get("id") == number:
                    if "error" in message:
                        raise RuntimeError("%s: %s" % (method, message["error"]))
                    return message["result"]
                self.events.append(message)
        finally:
            signal.alarm(0)

    def wait_for(self, event):
        signal.alarm(TIMEOUT)
        try:
            while not any(message.get("method") == event for message in self.events):
                self.events.append(self.receive())
        finally:
            signal.alarm(0)

    def open(self, url, width, height, scheme):
        if self.session is None:
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
            self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.call(domain + ".enable")
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.events = []
        self.call("Page.navigate", url=url)
        self.wait_for("Page.loadEventFired")

    def run(self, script):
        """The value of a script, which may be no more than JSON can say."""
        got = self.call("Runtime.evaluate", expression="(() => {%s})()" % script, returnByValue=True)
        if "exceptionDetails" in got:
            raise RuntimeError("a script of the test failed: %s" % json.dumps(got["exceptionDetails"])[:800])
        return got["result"].get("value")

    def picture(self, path, whole=True):
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def close(self):
        try:
            self.session = None
            self.send("Browser.close")
            self.process.wait(timeout=15)
        except (OSError, subprocess.TimeoutExpired):
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()


def pixels(path):
    """(width, height, rows of bytes, bytes a pixel) of an 8-bit PNG without interlacing."""
    with open(path, "rb") as file:
        data = file.read()
    at, packed, head = 8, b"", None
    while at < len(data):
        size, = struct.unpack(">I", data[at:at + 4])
        kind, body = data[at + 4:at + 8], data[at + 8:at + 8 + size]
        if kind == b"IHDR":
            head = struct.unpack(">IIBBBBB", body)
        elif kind == b"IDAT":
            packed += body
        at += 12 + size
    width, height, _, colours = head[:4]
    size = {2: 3, 6: 4}[colours]
    raw, rows, before = zlib.decompress(packed), [], bytearray(width * size)
    for y in range(height):
        start = y * (width * size + 1)
        kind, row = raw[start], bytearray(raw[start + 1:start + 1 + width * size])
        for i in range(len(row) if kind else 0):
            left = row[i - size] if i >= size else 0
            up = before[i]
            if kind == 1:
                row[i] = (row[i] + left) & 255
            elif kind == 2:
                row[i] = (row[i] + up) & 255
            elif kind == 3:
                row[i] = (row[i] + (left + up) // 2) & 255
            else:
                corner = before[i - size] if i >= size else 0
                guess = left + up - corner
                a, b, c = abs(guess - left), abs(guess - up), abs(guess - corner)
                row[i] = (row[i] + (left if a <= b and a <= c else up if b <= c else corner)) & 255
        rows.append(row)
        before = row
    return width, height, rows, size


def colours_of(path):
    """(how many colours, how bright on average from 0 to 255) of every fourth pixel of a picture."""
    width, height, rows, size = pixels(path)
    seen, total, count = set(), 0, 0
    for row in rows[::4]:
        for x in range(0, width * size, size * 4):
            colour = bytes(row[x:x + 3])
            seen.add(colour)
            total += sum(colour)
            count += 3
    return len(seen), total / count

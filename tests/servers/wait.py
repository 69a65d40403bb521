"""Waits until a server answers: `wait.py URL PID`. Any HTTP answer counts; fails once PID is gone."""

import os
import sys
import time
import urllib.error
import urllib.request

SECONDS_MAX = 120

url, pid = sys.argv[1], int(sys.argv[2])
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
deadline = time.monotonic() + SECONDS_MAX
while time.monotonic() < deadline:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        sys.exit(1)
    try:
        opener.open(url, timeout=5).close()
        sys.exit(0)
    except urllib.error.HTTPError:
        sys.exit(0)
    except OSError:
        time.sleep(0.1)
sys.exit(1)

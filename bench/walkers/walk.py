"""A walk with Python's own http.client and json. See walk.lua for what it reads and writes."""

import http.client
import json
import sys
import time


def work(seconds):
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        pass


def walk(base, seconds):
    host, slash, prefix = base[len("http://"):].partition("/")
    connection = http.client.HTTPConnection(host)
    count, last, after = 0, "", None
    while True:
        path = slash + prefix + "/v1/workflows/experiments/runs?limit=100" + ("&after=" + after if after else "")
        connection.request("GET", path, headers={"Api-Key": "bench"})
        page = json.loads(connection.getresponse().read())
        for run in page["data"]:
            count += 1
            last = run["id"]
        if seconds > 0:
            work(seconds)
        after = page["list_metadata"]["after"]
        if not after:
            connection.close()
            return count, last


for line in sys.stdin:
    base, seconds = line.split()[:2]
    print(*walk(base, float(seconds)), sep="\t", flush=True)

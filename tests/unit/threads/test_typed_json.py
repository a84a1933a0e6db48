"""Types are learnt by one thread at a time: each try is a process of its own, for what was learnt once stays known."""

import concurrent.futures
import subprocess
import sys

CROWD = """
import sys, threading
import msgspec
from higgins.threads import typed_json
from higgins.core import model

sys.setswitchinterval(1e-6)
kinds = [model.Assignment, model.PodSpec, model.PodStatus, model.ContainerSpec, model.HostFacts]
at_once = threading.Barrier(8)

def read(first):
    at_once.wait()
    for kind in kinds[first:] + kinds[:first]:
        try:
            typed_json.decode(b"{}", kind)
        except msgspec.ValidationError:
            pass

threads = [threading.Thread(target=read, args=(number % len(kinds),)) for number in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_threads_that_meet_a_type_for_the_first_time_do_not_end_the_process():
    def crowd(_number):
        return subprocess.run([sys.executable, "-c", CROWD], capture_output=True, text=True, timeout=240, check=False)

    with concurrent.futures.ThreadPoolExecutor(2) as tries:
        ends = [(done.returncode, done.stderr) for done in tries.map(crowd, range(6))]
    assert ends == [(0, "")] * 6

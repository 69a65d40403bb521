"""buildah and podman, with the storage of their own that `run` prepares, and a registry on loopback."""

import atexit
import functools
import json
import os
import pathlib
import re
import socket
import subprocess
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
RELEASE = ROOT / ".github" / "release"
WORK = pathlib.Path(os.environ["SECRETZERO_CONTAINER_WORK"])
TOOLS = pathlib.Path(os.environ["SECRETZERO_CONTAINER_TOOLS"])
FOLDER = pathlib.Path(os.environ["SECRETZERO_IMAGE_FOLDER"])
IMAGE = "localhost/secretzero-test"
GITLAB = "localhost/secretzero-test-gitlab"
SECONDS_MAX = 180


def call(*command, check=True, timeout=SECONDS_MAX, **options):
    """Runs a command and returns what it did; a failure shows all that it said."""
    command = [str(word) for word in command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def build(stage, tag, *options):
    """Builds a stage of the Dockerfile around the binary, and returns the image's id."""
    call(RELEASE / "build-image", FOLDER, stage, tag, *options)
    return inspect(tag)["Id"]


def inspect(image):
    return json.loads(call("podman", "image", "inspect", image).stdout)[0]


@functools.cache
def image():
    """The action's image."""
    build("action", IMAGE)
    return IMAGE


@functools.cache
def busybox():
    """The option that puts Debian's static busybox where the Dockerfile names a base of a registry."""
    base = re.search(r"^FROM (\S*/busybox:\S+) AS gitlab$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[1]
    context = WORK / "busybox"
    context.mkdir()
    where = next((path for path in ("/bin/busybox", "/usr/bin/busybox") if pathlib.Path(path).exists()), None)
    if where is None:
        raise AssertionError("no busybox on this machine (Debian: apt-get install busybox-static)")
    (context / "busybox").write_bytes(pathlib.Path(where).read_bytes())
    (context / "busybox").chmod(0o755)
    (context / "Dockerfile").write_text(
        'FROM scratch\nCOPY busybox /bin/busybox\nRUN ["/bin/busybox", "--install", "-s", "/bin"]\nCMD ["sh"]\n'
    )
    for arch in ("amd64", "arm64"):
        call("buildah", "bud", "--isolation", "chroot", "--arch", arch, "--manifest", "localhost/busybox", context)
    return ("--build-context", f"{base}=container-image://localhost/busybox")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(*command, ready, **options):
    """Starts a process that ends with this one; `ready` says when it can be used."""
    path = WORK / f"{pathlib.Path(command[0]).name}.log"
    with path.open("w") as log:
        process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)
    atexit.register(stop, process)
    for _ in range(SECONDS_MAX * 10):
        if process.poll() is not None:
            raise AssertionError(f"{command} ended: {path.read_text()}")
        if ready():
            return process
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            pass
    raise AssertionError(f"{command} does not start")


def stop(process):
    process.terminate()
    process.wait()


@functools.cache
def registry():
    """Host and port of a registry on loopback, known to buildah and podman as one without TLS."""
    port = free_port()
    host = f"127.0.0.1:{port}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ready():
        try:
            return opener.open(f"http://{host}/v2/", timeout=5).status == 200
        except OSError:
            return False

    start(TOOLS / "crane", "registry", "serve", "--address", host, ready=ready)
    known = pathlib.Path(os.environ["CONTAINERS_REGISTRIES_CONF"])
    known.write_text(known.read_text() + f'[[registry]]\nlocation = "{host}"\ninsecure = true\n')
    return host


@functools.cache
def pushed(stage="action"):
    """The image as the release pushes it; its reference by digest."""
    folder = WORK / "platforms"
    if not folder.exists():
        folder.mkdir()
        # The same binary stands in for arm64: nothing is run while an image is built.
        for arch in ("amd64", "arm64"):
            (folder / arch).symlink_to(FOLDER)
    options = busybox() if stage == "gitlab" else ()
    return call(RELEASE / "push-image", folder, stage, f"{registry()}/secretzero/action:{stage}", *options).stdout.strip()

"""What the image is: one static program and the roots of trust, small, and the same bytes each time."""

import gzip
import json
import re
import subprocess
import tarfile
import time
import unittest

from engine import FOLDER, GITLAB, IMAGE, ROOT, WORK, build, busybox, call, image, inspect

MEGABYTES_MAX = 20


class Image(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        image()
        cls.saved = WORK / "saved"
        call("podman", "save", "--format", "oci-dir", "--output", cls.saved, IMAGE)
        index = json.loads((cls.saved / "index.json").read_text())
        cls.manifest = cls.blob(index["manifests"][0]["digest"])

    @classmethod
    def path(cls, digest):
        return cls.saved / "blobs" / digest.replace(":", "/")

    @classmethod
    def blob(cls, digest):
        return json.loads(cls.path(digest).read_text())

    def test_it_holds_the_program_and_the_roots_of_trust_and_nothing_else(self):
        files = {}
        for layer in self.manifest["layers"]:
            with tarfile.open(self.path(layer["digest"])) as tar:
                files.update({entry.name: entry for entry in tar if not entry.isdir()})
        self.assertEqual(sorted(files), ["etc/ssl/certs/ca-certificates.crt", "secretzero"])
        self.assertEqual(oct(files["secretzero"].mode & 0o7777), "0o755")
        self.assertEqual({(entry.uid, entry.gid) for entry in files.values()}, {(0, 0)})
        roots = (FOLDER / "etc/ssl/certs/ca-certificates.crt").read_text()
        self.assertEqual(files["etc/ssl/certs/ca-certificates.crt"].size, len(roots.encode()))
        self.assertGreater(roots.count("BEGIN CERTIFICATE"), 50)

    def test_it_starts_the_program_itself_as_root_and_no_shell(self):
        config = inspect(IMAGE)["Config"]
        self.assertEqual(config["Entrypoint"], ["/secretzero", "ci"])
        self.assertFalse(config.get("Cmd"))
        self.assertIn(config.get("User", ""), ("", "0"))
        self.assertEqual(config["Labels"]["org.opencontainers.image.source"], "https://github.com/secretzero/action")
        shell = call("podman", "run", "--rm", "--network", "none", "--entrypoint", "/bin/sh", IMAGE, "-c", "true", check=False)
        self.assertNotEqual(shell.returncode, 0)
        self.assertIn("/bin/sh", shell.stderr)

    def test_the_program_asks_for_no_interpreter_and_no_library(self):
        binary = (FOLDER / "out/secretzero").read_bytes()
        kinds = program_headers(binary)
        self.assertIn(PT_LOAD, kinds)
        self.assertNotIn(PT_INTERP, kinds)

    def test_it_is_small_enough_to_be_pulled_in_a_moment(self):
        # As a registry keeps it: config and gzipped layers.
        size = sum(len(gzip.compress(self.layer(layer), 6)) for layer in self.manifest["layers"])
        size += self.manifest["config"]["size"]
        binary = (FOLDER / "out/secretzero").stat().st_size
        report("image, compressed", f"{size / 1e6:.1f} MB (at most {MEGABYTES_MAX}); the program in it {binary / 1e6:.1f} MB")
        self.assertLessEqual(size, MEGABYTES_MAX * 1_000_000)

    def layer(self, layer):
        data = self.path(layer["digest"]).read_bytes()
        return gzip.decompress(data) if layer["mediaType"].endswith("gzip") else data

    def test_the_same_binary_gives_the_same_digest(self):
        first = inspect(IMAGE)["Digest"]
        again = "localhost/secretzero-again"
        build("action", again, "--no-cache")
        self.assertEqual(inspect(again)["Digest"], first)
        self.assertEqual(inspect(again)["Created"][:10], "1970-01-01")

    def test_it_starts_in_no_time_and_runs_on_a_disk_that_cannot_be_written(self):
        command = ["podman", "run", "--rm", "--read-only", "--read-only-tmpfs=false", "--network", "none", "--entrypoint", "/secretzero", IMAGE]
        seen = call(*command, "--version").stdout
        self.assertRegex(seen, r"^secretzero \d+\.\d+\.\d+")
        # Reported, never judged: a busy machine is no fault of ours.
        alone = best(lambda: subprocess.run([FOLDER / "out/secretzero", "--version"], check=True, capture_output=True))
        started = best(lambda: call(*command, "--version"))
        report("start", f"{alone * 1000:.0f} ms for the program, {started * 1000:.0f} ms with podman around it")

    def test_the_documented_build_is_the_one_that_made_the_binary(self):
        wanted = re.search(r"RUN (cargo rustc .*--bin secretzero -- \S+ \S+) \\", (ROOT / "Dockerfile").read_text())[1]
        self.assertIn(f"{wanted} >&2", (ROOT / "tests/container/binary").read_text())


class Gitlab(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        build("gitlab", GITLAB, *busybox())

    def test_a_job_finds_a_shell_and_the_program(self):
        config = inspect(GITLAB)["Config"]
        self.assertFalse(config.get("Entrypoint"), "GitLab starts `sh` itself")
        # As GitLab's runner does: the script comes to a shell's standard input.
        script = 'set -eu\nsecretzero --version\ncd "$CI_PROJECT_DIR"\nsecretzero validate\necho "$?" > result\n'
        checkout = WORK / "gitlab"
        checkout.mkdir()
        (checkout / "Secretfile.yml").write_text("providers:\n  local:\n    kind: local\nsecrets: []\n")
        command = ["podman", "run", "--rm", "-i", "--network", "none", "-v", f"{checkout}:/builds/x", "-e", "CI_PROJECT_DIR=/builds/x"]
        done = subprocess.run([*command, GITLAB, "sh"], input=script, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"^secretzero \d")
        self.assertEqual((checkout / "result").read_text(), "0\n")

    def test_it_holds_the_roots_of_trust(self):
        counted = call("podman", "run", "--rm", "--network", "none", GITLAB, "grep", "-c", "BEGIN CERTIFICATE", "/etc/ssl/certs/ca-certificates.crt")
        self.assertGreater(int(counted.stdout), 50)


PT_LOAD, PT_INTERP = 1, 3


def program_headers(binary):
    """The types of an ELF file's program headers, for 64 bit: https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.pheader.html"""
    assert binary[:5] == b"\x7fELF\x02", "not a 64 bit ELF file"
    number = lambda at, size: int.from_bytes(binary[at : at + size], "little")
    start, size, count = number(32, 8), number(54, 2), number(56, 2)
    return [number(start + index * size, 4) for index in range(count)]


def best(action):
    def once():
        began = time.monotonic()
        action()
        return time.monotonic() - began

    return min(once() for _ in range(5))


def report(name, text):
    """A figure for whoever reads the log; `.ci/run` shows these lines."""
    print(f"figure: {name}: {text}", flush=True)

"""The release, as far as a machine without GitHub can play it: push, pin, tag."""

import fnmatch
import json
import os
import pathlib
import re
import tempfile
import unittest

import yaml

from engine import RELEASE, ROOT, TOOLS, WORK, call, pushed, registry

IMAGE = "ghcr.io/secretzero/action@sha256:" + "0123456789abcdef" * 4
OTHER = "ghcr.io/secretzero/action@sha256:" + "fedcba9876543210" * 4


class Push(unittest.TestCase):
    def test_one_name_serves_both_architectures_and_is_known_by_digest(self):
        reference = pushed()
        self.assertRegex(reference, rf"^{registry()}/secretzero/action@sha256:[0-9a-f]{{64}}$")
        index = json.loads(call(TOOLS / "crane", "manifest", "--insecure", reference).stdout)
        platforms = [(each["platform"]["os"], each["platform"]["architecture"]) for each in index["manifests"]]
        self.assertEqual(platforms, [("linux", "amd64"), ("linux", "arm64")])
        for each in index["manifests"]:
            config = json.loads(call(TOOLS / "crane", "config", "--insecure", f"{reference.split('@')[0]}@{each['digest']}").stdout)
            self.assertEqual(config["architecture"], each["platform"]["architecture"])

    def test_what_is_pulled_by_digest_is_the_program(self):
        seen = call("podman", "run", "--rm", "--network", "none", "--entrypoint", "/secretzero", pushed(), "--version").stdout
        self.assertRegex(seen, r"^secretzero \d")

    def test_pushing_again_gives_the_same_digest(self):
        first = pushed()
        self.assertEqual(pushed.__wrapped__(), first)

    def test_gitlabs_image_is_another_tag_of_the_same_name(self):
        gitlab = pushed("gitlab")
        self.assertEqual(gitlab.split("@")[0], pushed().split("@")[0])
        self.assertNotEqual(gitlab, pushed())


class Pin(unittest.TestCase):
    def setUp(self):
        self.action = pathlib.Path(tempfile.mkdtemp(dir=WORK)) / "action.yml"
        self.action.write_text((ROOT / "action.yml").read_text())

    def pin(self, image):
        return call(RELEASE / "pin-image", image, self.action, check=False)

    def test_only_the_image_changes(self):
        self.assertEqual(self.pin(IMAGE).returncode, 0)
        before, after = (path.read_text().splitlines() for path in (ROOT / "action.yml", self.action))
        self.assertEqual(len(before), len(after))
        changed = [(old, new) for old, new in zip(before, after) if old != new]
        self.assertEqual(changed, [("  image: Dockerfile", f"  image: docker://{IMAGE}")])
        self.assertEqual(yaml.safe_load(self.action.read_text())["runs"], {"using": "docker", "image": f"docker://{IMAGE}"})
        self.assertTrue(self.action.read_text().endswith("\n"))

    def test_a_name_that_can_move_is_refused_and_nothing_is_written(self):
        for image in ("ghcr.io/secretzero/action:v1", "ghcr.io/secretzero/action", IMAGE[:-1], IMAGE + "|x", IMAGE + "\nx: y"):
            refused = self.pin(image)
            self.assertEqual(refused.returncode, 1)
            self.assertIn("no image by digest", refused.stderr)
        self.assertEqual(self.action.read_text(), (ROOT / "action.yml").read_text())

    def test_it_does_not_pin_twice(self):
        self.pin(IMAGE)
        refused = self.pin(OTHER)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("no line", refused.stderr)
        self.assertIn(IMAGE, self.action.read_text())


class Tag(unittest.TestCase):
    def setUp(self):
        folder = pathlib.Path(tempfile.mkdtemp(dir=WORK))
        self.remote, self.clone = folder / "remote.git", folder / "clone"
        self.environment = {**os.environ, "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
        self.git("init", "--quiet", "--bare", "--initial-branch", "main", self.remote, at=folder)
        self.git("init", "--quiet", "--initial-branch", "main", self.clone, at=folder)
        (self.clone / "action.yml").write_text((ROOT / "action.yml").read_text())
        self.git("add", "action.yml")
        self.git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message", "main")
        self.git("push", "--quiet", self.remote, "main")
        self.main = self.git("rev-parse", "main")

    def git(self, *words, at=None):
        return call("git", "-C", at or self.clone, *words, env=self.environment).stdout.strip()

    def tag(self, version, image=IMAGE):
        self.git("checkout", "--quiet", "--force", self.main)
        return call(RELEASE / "tag", version, image, self.remote, check=False, cwd=self.clone, env=self.environment)

    def tags(self):
        lines = self.git("for-each-ref", "--format", "%(refname) %(objectname)", at=self.remote).splitlines()
        return dict(line.split() for line in lines)

    def test_the_tagged_commit_names_the_image_and_main_does_not(self):
        self.assertEqual(self.tag("v1.2.3").returncode, 0)
        refs = self.tags()
        self.assertEqual(sorted(refs), ["refs/heads/main", "refs/tags/v1", "refs/tags/v1.2.3"])
        self.assertEqual(refs["refs/tags/v1"], refs["refs/tags/v1.2.3"])
        self.assertEqual(refs["refs/heads/main"], self.main)
        released = self.git("show", "v1.2.3:action.yml", at=self.remote)
        self.assertIn(f"  image: docker://{IMAGE}", released)
        self.assertEqual(self.git("rev-parse", "v1.2.3^", at=self.remote), self.main)
        self.assertEqual(self.git("diff", "--name-only", "main", "v1.2.3", at=self.remote), "action.yml")

    def test_a_later_version_moves_v1_and_leaves_the_earlier_one(self):
        self.tag("v1.2.3")
        first = self.tags()["refs/tags/v1.2.3"]
        done = self.tag("v1.3.0", OTHER)
        self.assertEqual(done.returncode, 0, done.stderr)
        refs = self.tags()
        self.assertEqual(refs["refs/tags/v1.2.3"], first)
        self.assertEqual(refs["refs/tags/v1"], refs["refs/tags/v1.3.0"])

    def test_a_version_is_never_made_again(self):
        self.tag("v1.2.3")
        before = self.tags()
        self.assertNotEqual(self.tag("v1.2.3", OTHER).returncode, 0)
        self.assertEqual(self.tags(), before, "v1 stays where it was as well")

    def test_what_is_no_version_is_refused(self):
        for version in ("1.2.3", "v1", "v1.2.3-rc1", "main", "v1.2.3 --force"):
            refused = self.tag(version)
            self.assertEqual(refused.returncode, 1)
            self.assertIn("no version", refused.stderr)
        self.assertEqual(list(self.tags()), ["refs/heads/main"])


class Workflow(unittest.TestCase):
    def test_every_action_is_pinned_and_no_job_has_more_rights_than_it_says(self):
        text = (ROOT / ".github/workflows/release.yml").read_text()
        used = re.findall(r"uses: (\S+)(.*)", text)
        self.assertTrue(used)
        for action, comment in used:
            self.assertRegex(action, r"@[0-9a-f]{40}$")
            self.assertRegex(comment, r"^ # v\d+\.\d+\.\d+$")
        workflow = yaml.safe_load(text)
        self.assertEqual(workflow["permissions"], {})
        # Whoever compiles other people's code can write nothing, and has no identity to sign with.
        self.assertEqual(workflow["jobs"]["build"]["permissions"], {"contents": "read"})
        for name, job in workflow["jobs"].items():
            self.assertIn("permissions", job, name)
            self.assertIn("timeout-minutes", job, name)

    def test_the_readme_says_whose_signature_to_expect(self):
        command = re.search(r"<!-- test: release -->\n```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)[1]
        image, version = re.search(r"cosign verify (\S+):(v\d+\.\d+\.\d+) ", command).groups()
        workflow = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
        self.assertEqual(image, workflow["env"]["IMAGE"])
        tag = f"release/{version}"
        # PyYAML reads the key `on` as true.
        self.assertTrue(any(fnmatch.fnmatch(tag, pattern) for pattern in workflow[True]["push"]["tags"]))
        identity = f"https://github.com/secretzero/action/.github/workflows/release.yml@refs/tags/{tag}"
        self.assertIn(f"--certificate-identity {identity}\n", command)

    def test_every_script_it_runs_is_there(self):
        text = (ROOT / ".github/workflows/release.yml").read_text()
        for script in set(re.findall(r"\.github/release/[a-z-]+", text)):
            self.assertTrue(os.access(ROOT / script, os.X_OK), script)

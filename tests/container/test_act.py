"""The README's workflows, run by act with the released image: what a team pastes is what works.

act is no runner of GitHub's: it runs steps on this machine, its paths are its own, and it knows no
`permissions`, `concurrency` or OIDC. What the image sees on GitHub's runner is test_runner.py's part.
"""

import functools
import json
import os
import pathlib
import re
import tempfile
import unittest

import aws
from engine import RELEASE, ROOT, TOOLS, WORK, call, pushed, start
from github import Repository

README = (ROOT / "README.md").read_text()
REPOSITORY = "octocat/snippets"
LOGIN = "aws-actions/configure-aws-credentials"
# Stands in for the login at AWS, which needs GitHub's identity: static credentials, and where AWS is here.
STUB = """\
name: login
description: credentials for the emulator
inputs:
  role-to-assume: {description: role, required: true}
  aws-region: {description: region, required: true}
runs:
  using: composite
  steps:
    - shell: bash
      run: |
"""


def snippets(kind):
    found = re.findall(rf"<!-- test: {kind} -->\n```yaml\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert found, f"the README has no snippet of kind {kind}"
    return found


@functools.cache
def daemon():
    """podman, speaking Docker's API on a socket."""
    socket = WORK / "podman.sock"
    start("podman", "system", "service", "--time", "0", f"unix://{socket}", ready=socket.exists)
    return f"unix://{socket}"


@functools.cache
def released():
    """A folder with the action.yml of a release: it names the image by digest."""
    folder = WORK / "released"
    folder.mkdir()
    (folder / "action.yml").write_text((ROOT / "action.yml").read_text())
    call(RELEASE / "pin-image", pushed(), folder / "action.yml")
    return folder


@functools.cache
def login():
    folder = WORK / "login"
    folder.mkdir()
    lines = "".join(f'        echo "{name}={value}" >> "$GITHUB_ENV"\n' for name, value in aws.ENVIRONMENT.items())
    (folder / "action.yml").write_text(STUB + lines)
    return folder


class Team:
    """A repository with the README's Secretfile and one of its workflows."""

    def __init__(self, workflow, secretfile):
        self.workflow, self.secretfile = workflow, secretfile
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=WORK))
        (self.folder / ".github/workflows").mkdir(parents=True)
        (self.folder / ".github/workflows/secrets.yml").write_text(workflow)
        (self.folder / "Secretfile.yml").write_text(secretfile)
        self.git("init", "--quiet", "--initial-branch", "main")
        self.git("remote", "add", "origin", f"https://github.com/{REPOSITORY}")
        self.git("add", ".")
        self.git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message", "all")
        self.github = Repository(REPOSITORY)

    def git(self, *words):
        return call("git", "-C", self.folder, *words).stdout.strip()

    def act(self, event, payload):
        """Runs the workflow for an event."""
        path, cache = self.folder.with_suffix(".json"), WORK / "act"
        path.write_text(json.dumps({**payload, "repository": {**payload["repository"], "owner": {"login": "octocat"}}}))
        uses = set(re.findall(rf"{LOGIN}@[0-9a-f]+", self.workflow))
        replaced = [f"{action}={login()}" for action in uses] + [f"secretzero/action@v1={released()}"]
        command = [
            TOOLS / "act", event, "--eventpath", path, "--platform", "ubuntu-latest=-self-hosted", "--no-cache-server",
            "--action-cache-path", cache, "--container-daemon-socket", "-", "--container-options", f"-v {cache}:{cache} --network host",
            "--secret", f"GITHUB_TOKEN={os.environ['EMULATE_TOKEN']}", "--env", f"GITHUB_API_URL={os.environ['EMULATE_URL']}",
            "--env", f"GITHUB_REPOSITORY_ID={self.github.id}", "--defaultbranch", "main",
        ]  # fmt: skip
        command += [word for each in replaced for word in ("--local-repository", each)]
        environment = {"PATH": os.environ["PATH"], "HOME": str(WORK), "DOCKER_HOST": daemon(), "NO_PROXY": "127.0.0.1,localhost"}
        return call(*command, check=False, cwd=self.folder, env=environment)


class Snippets(unittest.TestCase):
    def test_the_readme_has_a_short_a_full_and_a_commented_workflow(self):
        short, full, commented = snippets("workflow")
        self.assertNotIn(LOGIN, short)
        self.assertIn(LOGIN, full)
        self.assertIn("issue_comment", commented)

    def team(self, number):
        return Team(snippets("workflow")[number], snippets("secretfile")[0])

    def pull(self, team, name):
        """Opens a pull request that adds a secret, and runs the workflow for it."""
        more = f"""
  - name: {name}
    kind: random_string
    targets:
      - provider: aws
        kind: secrets_manager
        config:
          name: shop/{name}
"""
        changed = team.secretfile.rstrip("\n") + more
        head = team.github.commit(changed, branch=name)
        (team.folder / "Secretfile.yml").write_text(changed)
        number = team.github.pull(name)
        return number, team.act("pull_request", team.github.pull_event(number, head))

    def test_each_workflow_plans_and_comments_on_a_pull_request(self):
        for index, name in enumerate(("short", "full")):
            with self.subTest(name):
                team = self.team(index)
                team.github.commit(team.secretfile)
                number, ran = self.pull(team, name)
                seen = ran.stdout + ran.stderr
                self.assertEqual(ran.returncode, 0, seen)
                self.assertIn(f"shop/{name}", team.github.comments(number)[0])
                self.assertIsNone(aws.stored(f"shop/{name}"), "a plan writes nothing")
                self.assertIn(str(pushed()), seen, "the image was run by its digest")

    def test_the_full_workflow_syncs_after_the_merge_and_again_on_schedule(self):
        team = self.team(1)
        sha = team.github.commit(team.secretfile)
        ran = team.act("push", team.github.push_event(sha))
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
        value = aws.stored("shop/database/password")
        self.assertEqual(len(value), 32)
        self.assertNotIn(value, ran.stdout + ran.stderr)
        ran = team.act("schedule", {"schedule": "17 4 * * *", "repository": team.github.push_event(sha)["repository"]})
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
        self.assertEqual(aws.stored("shop/database/password"), value, "nothing is due")

    def test_the_third_workflow_answers_a_comment_on_a_pull_request(self):
        team = self.team(2)
        tip = team.github.commit(team.secretfile)
        team.github.commit(team.secretfile + "# changed\n", branch="commented")
        number = team.github.pull("commented")
        ran = team.act("issue_comment", team.github.comment_event(number, "/secretzero help", tip))
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
        answers = [body for body in team.github.comments(number) if "key=reply/help" in body]
        self.assertEqual(len(answers), 1, ran.stdout + ran.stderr)
        self.assertIn("/secretzero explain NAME", answers[0])

    def test_the_third_workflow_does_not_start_for_any_other_comment(self):
        team = self.team(2)
        tip = team.github.commit(team.secretfile)
        team.github.commit(team.secretfile + "# quiet\n", branch="quiet")
        number = team.github.pull("quiet")
        event = team.github.comment_event(number, "Thank you!", tip)
        ran = team.act("issue_comment", event)
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
        self.assertNotIn(str(pushed()), ran.stdout + ran.stderr, "the image was not run")
        self.assertEqual(len(team.github.comments(number)), 1, "no answer")

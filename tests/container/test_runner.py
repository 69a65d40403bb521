"""The action as GitHub's runner runs it: what a job sees, and what it leaves behind."""

import json
import os
import unittest

import aws
from github import Repository
from runner import OWNER, Runner
from secretfiles import another, secretfile


class PullRequest(unittest.TestCase):
    def test_it_plans_offline_and_says_what_the_policies_found(self):
        repository = Repository("octocat/container")
        base, change = secretfile("plan"), secretfile("plan", another("plan"))
        repository.commit(base)
        head = repository.commit(change, branch="plan")
        number = repository.pull("plan")
        runner = Runner({"Secretfile.yml": change}, repository.name, repository.id)
        ran = runner.run(
            "pull_request", repository.pull_event(number, head), head, {"github_token": os.environ["EMULATE_TOKEN"]}, aws.ENVIRONMENT
        )
        self.assertEqual(ran.code, 0, ran)
        self.assertEqual(ran.outputs["result"], "pending", ran)
        self.assertEqual(ran.outputs["changed"], "false")
        self.assertEqual(ran.outputs["policy_warnings"], "2")
        self.assertRegex(ran.outputs["check_run_id"], r"^\d+$")
        self.assertIn("::warning file=Secretfile.yml,line=", ran.stdout)
        self.assertIn("plan/token", ran.summary)
        self.assertIn("plan/token", repository.comments(number)[0])
        self.assertIsNone(aws.stored("plan/password"), "a plan writes nothing")
        report = json.loads((runner.temp / ran.outputs["report_json"]).read_text())
        self.assertEqual(len(report["files"]), 1)
        for name in ("add_path", "set_env", "save_state"):
            self.assertEqual(ran.written[name], "", f"{name} is not ours to write")

    def test_it_leaves_the_checkout_as_it_was(self):
        runner = Runner({"Secretfile.yml": secretfile("checkout")})
        before = files(runner.workspace)
        ran = runner.run("pull_request", {})
        self.assertIn("Planned offline", ran.summary, ran)
        self.assertEqual(files(runner.workspace), before)

    def test_a_broken_secretfile_fails_the_step_with_its_line(self):
        runner = Runner({"Secretfile.yml": secretfile("broken").replace("kind: random_password", "kind: random_pasword")})
        ran = runner.run("pull_request", {})
        self.assertEqual(ran.code, 3, ran)
        self.assertEqual(ran.outputs["failure_reason"], "secretfile")
        self.assertIn("::error file=Secretfile.yml,line=", ran.stdout)

    def test_inputs_with_dashes_do_no_harm(self):
        runner = Runner({"Secretfile.yml": secretfile("dashes")})
        ran = runner.run("pull_request", {}, inputs={"dry-run": "true", "two words": "x", "fail_on": "warning"})
        self.assertEqual(ran.code, 5, "a warning fails, so `fail_on` was read: " + str(ran))


class Push(unittest.TestCase):
    def test_it_syncs_once_and_keeps_its_lock_at_github(self):
        repository = Repository("octocat/container")
        text = secretfile("push")
        sha = repository.commit(text)
        runner = Runner({"Secretfile.yml": text}, repository.name, repository.id)
        job = ("push", repository.push_event(sha), sha, {"github_token": os.environ["EMULATE_TOKEN"]}, aws.ENVIRONMENT)
        ran = runner.run(*job)
        self.assertEqual((ran.code, ran.outputs.get("result"), ran.outputs.get("changed")), (0, "ok", "true"), ran)
        value = aws.stored("push/password")
        self.assertEqual(len(value), 32)
        self.assertNotIn(value, str(ran), "no value leaves the process")
        self.assertEqual(repository.ask("GET", "/git/ref/secretzero/v1/default")["object"]["type"], "commit")
        again = runner.run(*job)
        self.assertEqual((again.code, again.outputs["changed"]), (0, "false"), again)
        self.assertEqual(aws.stored("push/password"), value)

    def test_without_a_token_nothing_is_written(self):
        runner = Runner({"Secretfile.yml": secretfile("tokenless")})
        ours = {"id": 1, "full_name": "octocat/container", "default_branch": "main"}
        event = {"ref": "refs/heads/main", "before": "0" * 40, "after": "1" * 40, "deleted": False, "repository": ours}
        ran = runner.run("push", event, "1" * 40, environment=aws.ENVIRONMENT)
        self.assertEqual((ran.code, ran.outputs["result"], ran.outputs["changed"]), (1, "failed", "false"), ran)
        self.assertIn("github_token", ran.stdout)
        self.assertIsNone(aws.stored("tokenless/password"))

    def test_local_files_belong_to_whoever_owns_the_checkout(self):
        text = """\
metadata:
  project: local
providers:
  local:
    kind: local
secrets:
  - name: password
    kind: random_password
    targets:
      - provider: local
        kind: file
        config:
          path: .env
"""
        repository = Repository("octocat/container")
        sha = repository.commit(text)
        runner = Runner({"Secretfile.yml": text}, repository.name, repository.id)
        inputs = {"github_token": os.environ["EMULATE_TOKEN"], "local_files": "true"}
        ran = runner.run("push", repository.push_event(sha), sha, inputs)
        self.assertEqual(ran.code, 0, ran)
        written = runner.workspace / ".env"
        self.assertTrue(written.read_text().startswith("PASSWORD="))
        self.assertEqual(oct(written.stat().st_mode & 0o777), "0o600")
        # The next step of a job is no root.
        made = [written, runner.workspace / ".secretzero.json", runner.temp / ran.outputs["report_json"]]
        self.assertEqual({path.stat().st_uid for path in made[:2]}, {OWNER})
        self.assertEqual(made[2].stat().st_uid, made[2].parent.stat().st_uid)


class World(unittest.TestCase):
    def test_a_disk_that_cannot_be_written_is_no_hindrance(self):
        runner = Runner({"Secretfile.yml": secretfile("readonly")})
        ran = runner.run("pull_request", {}, options=["--network", "none", "--read-only", "--read-only-tmpfs=false"])
        # Without a network nobody can say which policies count, so the check fails, and the plan is shown.
        self.assertEqual((ran.code, ran.outputs["result"], ran.outputs["to_create"]), (1, "failed", "1"), ran)

    def test_an_event_that_asks_for_nothing_does_nothing(self):
        runner = Runner({"Secretfile.yml": secretfile("nothing")})
        ran = runner.run("release", {})
        self.assertEqual((ran.code, ran.outputs["result"]), (0, "ok"), ran)


def files(folder):
    return {path: (path.stat().st_uid, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}

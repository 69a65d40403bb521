"""A step as GitHub's runner starts it: its mounts, its variables, its file commands, and root.

The words are those of the runner itself:
https://github.com/actions/runner/blob/main/src/Runner.Worker/Handlers/ContainerActionHandler.cs
"""

import json
import os
import pathlib
import tempfile
import uuid

import yaml

from engine import ROOT, WORK, call, image

# Who owns a checkout on a hosted runner: never root.
OWNER = 1001


class Runner:
    """One job with its checkout."""

    def __init__(self, files, repository="octocat/container", repository_id=1):
        self.work = pathlib.Path(tempfile.mkdtemp(dir=WORK))
        self.repository, self.repository_id = repository, repository_id
        self.temp = self.work / "_temp"
        for name in ("_github_home", "_github_workflow", "_runner_file_commands"):
            (self.temp / name).mkdir(parents=True)
        self.workspace = self.work / "repo" / "repo"
        self.workspace.mkdir(parents=True)
        for name, text in files.items():
            self.write(name, text)
        call("git", "init", "--quiet", "--initial-branch", "main", self.workspace)
        call("chown", "-R", f"{OWNER}:{OWNER}", self.work)

    def write(self, name, text):
        (self.workspace / name).write_text(text)
        os.chown(self.workspace / name, OWNER, OWNER)

    def run(self, event, payload, sha="0" * 40, inputs=(), environment=(), options=("--network", "host")):
        """Runs the action once for an event."""
        (self.temp / "_github_workflow" / "event.json").write_text(json.dumps(payload))
        command = uuid.uuid4()
        written = {}
        for name in ("set_output", "step_summary", "add_path", "set_env", "save_state"):
            written[name] = self.temp / "_runner_file_commands" / f"{name}_{command}"
            written[name].touch()
        variables = {
            **self.inputs(dict(inputs)),
            "HOME": "/github/home",
            "GITHUB_JOB": "secretzero",
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_SHA": sha,
            "GITHUB_REPOSITORY": self.repository,
            "GITHUB_REPOSITORY_ID": str(self.repository_id),
            "GITHUB_RUN_ID": "77",
            "GITHUB_RUN_NUMBER": "1",
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_ACTOR": "mona",
            "GITHUB_WORKFLOW": "secrets",
            "GITHUB_EVENT_NAME": event,
            "GITHUB_EVENT_PATH": "/github/workflow/event.json",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_API_URL": os.environ["EMULATE_URL"],
            "GITHUB_WORKSPACE": "/github/workspace",
            "GITHUB_ACTION": "__self",
            "GITHUB_OUTPUT": f"/github/file_commands/set_output_{command}",
            "GITHUB_STEP_SUMMARY": f"/github/file_commands/step_summary_{command}",
            "GITHUB_PATH": f"/github/file_commands/add_path_{command}",
            "GITHUB_ENV": f"/github/file_commands/set_env_{command}",
            "GITHUB_STATE": f"/github/file_commands/save_state_{command}",
            "RUNNER_OS": "Linux",
            "RUNNER_ARCH": "X64",
            "RUNNER_TEMP": "/github/runner_temp",
            "RUNNER_TOOL_CACHE": "/opt/hostedtoolcache",
            "RUNNER_WORKSPACE": "/home/runner/work/repo",
            "GITHUB_ACTIONS": "true",
            "CI": "true",
            **dict(environment),
        }
        (self.temp / "docker.sock").touch()
        mounts = {
            self.temp / "docker.sock": "/var/run/docker.sock",
            self.temp: "/github/runner_temp",
            self.temp / "_github_home": "/github/home",
            self.temp / "_github_workflow": "/github/workflow",
            self.temp / "_runner_file_commands": "/github/file_commands",
            self.workspace: "/github/workspace",
        }
        flags = [word for source, target in mounts.items() for word in ("-v", f"{source}:{target}")]
        # As the runner: the name alone, so that the value comes from its own environment.
        flags += [word for name in variables for word in ("-e", name)]
        done = call(
            "podman", "run", "--rm", "--name", f"job{command.hex}", "--workdir", "/github/workspace", *options, *flags, image(),
            check=False, env={**os.environ, **variables, "HOME": str(self.work)},
        )
        return Ran(done, {name: path.read_text() for name, path in written.items()})

    def inputs(self, given):
        """`INPUT_*` as the runner makes them: every declared input with its default, upper case, dashes kept."""
        declared = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]
        values = {name: str(about.get("default", "")) for name, about in declared.items()}
        values["github_token"] = ""
        values.update(given)
        return {"INPUT_" + name.upper().replace(" ", "_"): value for name, value in values.items()}


class Ran:
    """What a step left behind."""

    def __init__(self, done, written):
        self.code, self.stdout, self.stderr = done.returncode, done.stdout, done.stderr
        self.summary = written["step_summary"]
        self.written = written
        self.outputs = outputs(written["set_output"])

    def __str__(self):
        return f"exit {self.code}\n{self.stdout}{self.stderr}\n{self.outputs}\n{self.summary}"


def outputs(text):
    """Reads GITHUB_OUTPUT as the runner does: NAME=VALUE, or NAME<<DELIMITER, lines, DELIMITER."""
    found, lines = {}, iter(text.splitlines())
    for line in lines:
        if "<<" in line.split("=")[0]:
            name, delimiter = line.split("<<", 1)
            value = []
            for more in lines:
                if more == delimiter:
                    break
                value.append(more)
            else:
                raise AssertionError(f"{name} does not end: {text}")
            found[name] = "\n".join(value)
        else:
            name, value = line.split("=", 1)
            found[name] = value
    return found

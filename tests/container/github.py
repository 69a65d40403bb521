"""The emulated GitHub, set up as a team's repository: branches with a Secretfile, and pull requests."""

import json
import os
import urllib.error
import urllib.request


class Repository:
    """A repository that the seed of the emulator has."""

    def __init__(self, name):
        self.name = name
        about = self.ask("GET", "")
        self.id, self.branch = about["id"], about["default_branch"]

    def ask(self, method, rest, body=None):
        url = f"{os.environ['EMULATE_URL']}/repos/{self.name}{rest}"
        request = urllib.request.Request(url, method=method, data=None if body is None else json.dumps(body).encode())
        request.add_header("authorization", f"Bearer {os.environ['EMULATE_TOKEN']}")
        request.add_header("content-type", "application/json")
        try:
            answer = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60).read()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {url}: {error.code} {error.read()}") from error
        return json.loads(answer or b"null")

    def tip(self):
        return self.ask("GET", f"/git/ref/heads/{self.branch}")["object"]["sha"]

    def commit(self, text, branch=None):
        """Puts a Secretfile on the default branch, or on a new one, and returns the commit."""
        parent = self.tip()
        entry = {"path": "Secretfile.yml", "mode": "100644", "type": "blob", "content": text}
        tree = self.ask("POST", "/git/trees", {"tree": [entry]})["sha"]
        sha = self.ask("POST", "/git/commits", {"message": "change", "tree": tree, "parents": [parent]})["sha"]
        if branch is None:
            self.ask("PATCH", f"/git/refs/heads/{self.branch}", {"sha": sha, "force": True})
        else:
            self.ask("POST", "/git/refs", {"ref": f"refs/heads/{branch}", "sha": sha})
        return sha

    def pull(self, branch):
        return self.ask("POST", "/pulls", {"title": branch, "head": branch, "base": self.branch})["number"]

    def comments(self, pull):
        return [comment["body"] for comment in self.ask("GET", f"/issues/{pull}/comments")]

    def pull_event(self, number, head):
        ours = {"id": self.id, "full_name": self.name, "default_branch": self.branch}
        return {
            "action": "synchronize",
            "number": number,
            "pull_request": {
                "number": number,
                "head": {"sha": head, "ref": "change", "repo": ours},
                "base": {"sha": head, "ref": self.branch, "repo": ours},
                "merged": False,
                "draft": False,
                "user": {"login": "mona"},
            },
            "repository": ours,
        }

    def push_event(self, sha):
        return {
            "ref": f"refs/heads/{self.branch}",
            "before": sha,
            "after": sha,
            "deleted": False,
            "forced": False,
            "repository": {"id": self.id, "full_name": self.name, "default_branch": self.branch},
        }

    def comment_event(self, number, body, tip):
        """Somebody writes a comment on a pull request; the job gets the default branch's tip."""
        comment = self.ask("POST", f"/issues/{number}/comments", {"body": body})
        # GitHub's times are whole seconds; the emulator takes two of them, and a millisecond between
        # them reads as an edit.
        while comment["created_at"] != comment["updated_at"]:
            self.ask("DELETE", f"/issues/comments/{comment['id']}")
            comment = self.ask("POST", f"/issues/{number}/comments", {"body": body})
        return {
            "action": "created",
            "issue": {"number": number, "pull_request": {"url": f"pulls/{number}"}},
            "comment": comment,
            "after": tip,
            "repository": {"id": self.id, "full_name": self.name, "default_branch": self.branch},
        }

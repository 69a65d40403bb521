"""Names resolve in an image without a library, a plugin or a file of the system's own."""

import os
import socket
import struct
import tempfile
import threading
import unittest

from engine import WORK
from runner import Runner
from secretfiles import secretfile



class NameServer(threading.Thread):
    """A DNS server over UDP that knows the names it was given and remembers what it was asked."""

    def __init__(self, names):
        super().__init__(daemon=True)
        self.names, self.asked = names, []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        # Port 53 of an address that nobody else uses: resolv.conf knows no ports.
        self.address = f"127.53.{os.getpid() % 250}.{os.urandom(1)[0]}"
        self.socket.bind((self.address, 53))
        self.start()

    def run(self):
        while True:
            question, sender = self.socket.recvfrom(4096)
            end = question.index(b"\0", 12) + 5
            name, kind = self.name(question[12 : end - 5]), struct.unpack(">H", question[end - 4 : end - 2])[0]
            self.asked.append(name)
            # An A record with a pointer to the name in the question; nothing for AAAA.
            known = self.names.get(name)
            answer = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04" + known if known and kind == 1 else b""
            status = b"\x81\x80" if known else b"\x81\x83"
            counts = struct.pack(">HHHH", 1, 1 if answer else 0, 0, 0)
            self.socket.sendto(question[:2] + status + counts + question[12:end] + answer, sender)

    def name(self, labels):
        parts = []
        while labels:
            parts.append(labels[1 : 1 + labels[0]].decode())
            labels = labels[1 + labels[0] :]
        return ".".join(parts)


class Names(unittest.TestCase):
    def plan_at(self, api, hosts, resolver):
        """A plan that asks GitHub at `api`, in a container with these hosts and this resolver."""
        folder = tempfile.mkdtemp(dir=WORK)
        for name, text in (("hosts", hosts), ("resolv.conf", resolver)):
            with open(f"{folder}/{name}", "w") as file:
                file.write(text)
        options = ["--network", "host", "-v", f"{folder}/hosts:/etc/hosts:ro", "-v", f"{folder}/resolv.conf:/etc/resolv.conf:ro"]
        runner = Runner({"names.yml": secretfile("names")})
        ours = {"id": 1, "full_name": "octocat/container", "default_branch": "main"}
        side = {"sha": "1" * 40, "ref": "main", "repo": ours}
        event = {"action": "opened", "number": 1, "pull_request": {"number": 1, "head": side, "base": side, "user": {"login": "mona"}}, "repository": ours}
        return runner.run("pull_request", event, inputs={"github_token": os.environ["EMULATE_TOKEN"], "files": "names.yml", "plan_mode": "online"}, environment={"GITHUB_API_URL": api}, options=options)

    def setUp(self):
        self.port = os.environ["EMULATE_URL"].rsplit(":", 1)[1]

    def test_a_name_of_the_dns_leads_to_the_server(self):
        server = NameServer({"localhost": socket.inet_aton("127.0.0.1")})
        # `localhost` is the one host for which http is allowed; with no hosts file the DNS has to know it.
        ran = self.plan_at(f"http://localhost:{self.port}", "", f"nameserver {server.address}\noptions timeout:2\n")
        self.assertIn("localhost", server.asked, ran)
        self.assertEqual(ran.code, 0, ran)
        self.assertIn("not found (404)", ran.summary, "GitHub was reached and had no such file")

    def test_a_name_in_the_hosts_file_needs_no_dns(self):
        server = NameServer({})
        ran = self.plan_at(f"http://localhost:{self.port}", "127.0.0.1 localhost\n", f"nameserver {server.address}\n")
        self.assertEqual(server.asked, [])
        self.assertIn("not found (404)", ran.summary, ran)

    def test_githubs_own_name_is_asked_of_the_dns(self):
        server = NameServer({})
        ran = self.plan_at("https://api.github.com", "127.0.0.1 localhost\n", f"nameserver {server.address}\noptions timeout:2\n")
        self.assertIn("api.github.com", server.asked)
        self.assertEqual(ran.code, 1, ran)
        self.assertIn("are not known", ran.summary)

    def test_without_a_network_it_still_plans_from_the_file(self):
        runner = Runner({"Secretfile.yml": secretfile("names")})
        ran = runner.run("pull_request", {}, options=["--network", "none"])
        self.assertEqual(ran.code, 1, "the base's policies are not known: " + str(ran))
        self.assertIn("names/password", ran.summary)

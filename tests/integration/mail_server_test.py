#!/usr/bin/env python3
"""One page through a real mail server: Debian's exim, alone with the daemons in a network namespace. It
wants STARTTLS and a login, and delivers to a Maildir. First it is given a wrong password.

Needs root and exim4-daemon-light; says so when it is left out."""

import email
import email.policy
import fcntl
import os
import pwd
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import target as targets  # noqa: E402
from api_test import Client  # noqa: E402
from processes import Program, follow, run, until  # noqa: E402
from world import World, arguments, free_port  # noqa: E402

EXIM = "/usr/sbin/exim4"
OWNER = "Debian-exim"  # Delivers, as on any Debian: exim never writes mail as root.
INSIDE = "TOCSIN_IN_A_NAMESPACE"
ARGS = arguments(__doc__)

CONFIG = """
primary_hostname = mail.test
domainlist local_domains = example.com
spool_directory = {dir}/spool
log_file_path = {dir}/log/%slog
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
keep_environment =
host_lookup =
tls_advertise_hosts = *
tls_certificate = {dir}/cert.pem
tls_privatekey = {dir}/key.pem
auth_advertise_hosts = ${{if eq{{$tls_in_cipher}}{{}}{{}}{{*}}}}
acl_smtp_rcpt = recipients
acl_smtp_data = messages

begin acl
recipients:
  deny    message = authenticate first
          !authenticated = *
  accept  domains = +local_domains
  deny    message = relay not permitted
messages:
  deny    message = a mail needs a subject and an id
          condition = ${{if or{{{{!def:h_Subject:}}{{!def:h_Message-ID:}}}}}}
  deny    !verify = header_syntax
  accept

begin routers
local:
  driver = accept
  domains = +local_domains
  transport = maildir

begin transports
maildir:
  driver = appendfile
  directory = {dir}/Maildir
  maildir_format
  create_directory
  envelope_to_add
  return_path_add
  user = {owner}

begin retry
* * F,1h,1m

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{pager}}}}{{eq{{$auth3}}{{{password}}}}}}}}}
  server_set_id = $auth2
"""


def bring_up_loopback():
    """What `ip link set lo up` does; ip is no part of a bare Debian."""
    siocsifflags, iff_up = 0x8914, 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, siocsifflags, struct.pack("16sh14x", b"lo", iff_up))


class MailServer(unittest.TestCase):
    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="tocsin-mail-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        owner = pwd.getpwnam(OWNER)
        for name in ("", "spool", "log", "Maildir"):
            path = self.dir / name
            path.mkdir(exist_ok=True)
            path.chmod(0o750)
            os.chown(path, owner.pw_uid, owner.pw_gid)
        self.certificate(owner)
        self.port = free_port()
        config = self.dir / "exim.conf"
        config.write_text(CONFIG.format(dir=self.dir, port=self.port, owner=OWNER,
                                        password="right-Horse9"))
        config.chmod(0o644)
        self.world = World(ARGS.build, extra=(
            f"smtp: {{host: 127.0.0.1, port: {self.port}, tls: required, username: pager, "
            f"password: {{file: smtp}}, from: tocsin@example.com, ca_file: {self.dir}/ca.pem}}\n"))
        self.world.__enter__()
        self.addCleanup(self.world.__exit__, None, None, None)
        self.password("wrong")
        self.exim = Program("exim", [EXIM, "-C", str(config), "-bdf", "-q1m", "-oP",
                                     str(self.dir / "exim.pid")], self.world.dir / "exim.log")
        self.exim.start()
        self.addCleanup(self.exim.stop)
        until("exim listens", self.listening, 20)
        token = run([str(self.world.binary("tocsin-collector")), "admin-token", "--config",
                     str(self.world.collector_config)]).strip()
        self.api = Client(self.world.api_port, token)

    def listening(self) -> bool:
        self.exim.check()
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
            return sock.recv(4) == b"220 "

    def password(self, text: str):
        path = self.world.dir / "secrets" / "smtp"
        path.write_text(text + "\n")
        path.chmod(0o600)

    def certificate(self, owner):
        """An authority and a certificate of 127.0.0.1 by it."""
        d = self.dir
        run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
             "/CN=tocsin test authority", "-keyout", f"{d}/ca.key", "-out", f"{d}/ca.pem"])
        (d / "san").write_text("subjectAltName=IP:127.0.0.1\n")
        run(["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=mail.test", "-keyout",
             f"{d}/key.pem", "-out", f"{d}/request.pem"])
        run(["openssl", "x509", "-req", "-in", f"{d}/request.pem", "-CA", f"{d}/ca.pem", "-CAkey",
             f"{d}/ca.key", "-CAcreateserial", "-days", "2", "-extfile", f"{d}/san", "-out",
             f"{d}/cert.pem"])
        (d / "ca.pem").chmod(0o644)
        for name in ("cert.pem", "key.pem"):
            os.chown(d / name, owner.pw_uid, owner.pw_gid)

    def delivered(self) -> list:
        return [email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
                for path in sorted((self.dir / "Maildir" / "new").glob("*"))]

    def main_log(self) -> str:
        path = self.dir / "log" / "mainlog"
        return path.read_text(errors="replace") if path.exists() else ""

    def test_a_page_is_delivered_over_tls_with_a_login_and_answered_by_its_link(self):
        form = {
            "users": [{"key": "ann", "name": "Ann Müller", "role": "responder", "contact_methods": [
                {"key": "mail", "type": "email", "to": "ann@example.com"}]}],
            "escalation-policies": [{"key": "people", "steps": [
                {"delay": "0s", "notify": [{"user": "ann"}]}]}],
            "services": [{"key": "ours", "policy": "people"}],
            "monitors": [{"key": "ours", "name": "Käse & Söhne", "type": "http",
                          "url": self.world.target.url, "interval": "1s", "retries": 0,
                          "service": "ours"}]}
        status, answer, _ = self.api("POST", "/apply", form)
        self.assertEqual(status, 200, answer)
        until("it is up", lambda: self.api("GET", "/monitors/ours")[1]["status"] == "up", 30)
        self.world.target.set(targets.REFUSING)
        name = until("an incident", lambda: self.api(
            "GET", "/incidents?state=open&monitor=ours")[1]["items"], 30)[0]["name"]
        # A login that is refused is ours to mend: the page waits, and the password is read anew.
        tries = until("a refused login", lambda: [
            t for d in self.api("GET", f"/incidents/{name}/deliveries")[1]["items"]
            for t in d["deliveries"]], 30)
        self.assertEqual(tries[0]["outcome"], "retry", tries)
        self.assertEqual(self.delivered(), [])
        self.password("right-Horse9")
        mail = until("the page in the Maildir", self.delivered, 60)[0]
        self.assertIn(name, mail["Subject"])
        self.assertIn("Käse & Söhne", mail["Subject"])
        self.assertEqual((mail["To"], mail["Envelope-to"]), ("ann@example.com", "ann@example.com"))
        # esmtpsa: by SMTP with extensions, over TLS, after a login.
        self.assertRegex(mail["Received"], r"with esmtpsa +\(TLS1\.[23]\)")
        self.assertEqual(mail["Auto-Submitted"], "auto-generated")
        self.assertEqual(mail.defects, [])
        text = mail.get_body(("plain",)).get_content()
        self.assertIn("connect.refused", text)
        link = re.search(r"^http://\S+/ack/\S+", text, re.M)[0]
        self.assertIn(link, mail.get_body(("html",)).get_content())
        self.assertEqual(follow(link, "GET")[0], 200)
        status, page = follow(link, "POST")
        self.assertEqual(status, 200, page)
        incident = self.api("GET", f"/incidents/{name}")[1]
        self.assertEqual((incident["state"], incident["assignee"]), ("acknowledged", "ann"))
        self.world.target.set(targets.UP)
        mails = until("the end in the Maildir", lambda: self.delivered()[1:] and self.delivered(), 60)
        self.assertEqual(len(mails), 2, [m["Subject"] for m in mails])
        end = next(m for m in mails if "[resolved]" in m["Subject"])
        self.assertEqual(end["In-Reply-To"], mail["In-Reply-To"])
        self.assertNotIn("/ack/", end.get_body(("plain",)).get_content())
        # What exim calls an id is ours, and nothing was refused but the wrong password.
        self.assertIn(f"id={mail['Message-ID'].strip('<>')}", self.main_log())
        self.assertIn("A=plain:pager", self.main_log())
        self.assertIn("535 Incorrect authentication data", self.main_log())


def main():
    missing = "root" if os.geteuid() else "exim4-daemon-light" if not os.access(EXIM, os.X_OK) else ""
    if not missing and subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode:
        missing = "a network namespace"
    if missing:
        print(f"left out: it needs {missing}")
        return 77
    if not os.environ.get(INSIDE):
        os.execvpe("unshare", ["unshare", "--net", sys.executable, "-B", "-u", __file__, "--build",
                               str(ARGS.build), *sys.argv[1:]], os.environ | {INSIDE: "1"})
    bring_up_loopback()
    unittest.main(verbosity=2)


if __name__ == "__main__":
    sys.exit(main())

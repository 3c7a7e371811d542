#!/usr/bin/env python3
"""HTTP checks against real servers: nginx with HTTP/1.1, HTTP/2, TLS, client certificates, passwords and gzip, and
tinyproxy in front of it, each seen through `tocsin-agent check --json`."""

import base64
import json
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from background import free_port  # noqa: E402
from processes import Program, run, until  # noqa: E402
from world import arguments  # noqa: E402

ARGS = arguments(__doc__)

NGINX = """
daemon off;
master_process off;
worker_processes 1;
pid {dir}/nginx.pid;
error_log {dir}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  default_type text/plain;
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_certificate {dir}/server.pem;
  ssl_certificate_key {dir}/server.key;
  ssl_session_tickets on;
  gzip on; gzip_min_length 1; gzip_types *;
  server {{
    listen 127.0.0.1:{plain}; {listen6}
    listen 127.0.0.1:{old} ssl;
    listen 127.0.0.1:{tls} ssl http2;
    root {dir}/root;
    location / {{ }}
    location = /version {{ return 200 "$server_protocol $host $ssl_server_name"; }}
    location = /method {{ return 200 "$request_method"; }}
    location = /echo {{ return 200 "got $http_authorization and $http_x_api_key"; }}
    location = /private {{ auth_basic "test"; auth_basic_user_file {dir}/users; }}
    location = /enter {{ add_header Set-Cookie "visit=7; Path=/; HttpOnly"; return 302 /inside; }}
    location = /inside {{
      if ($cookie_visit != 7) {{ return 302 /enter; }}
      return 200 "cookies $http_cookie";
    }}
    location = /leave {{
      add_header Set-Cookie "visit=7; Domain=127.0.0.1";
      return 302 http://127.0.0.2:{plain2}/cookies;
    }}
    location = /one {{ return 302 /two; }}
    location = /two {{ return 307 /version; }}
    location = /loop {{ return 302 /loop; }}
    location = /down {{ return 302 http://127.0.0.1:{plain}/version; }}
    location = /away {{ return 302 http://127.0.0.2:{plain2}/echo; }}
  }}
  server {{
    listen 127.0.0.2:{plain2};
    location = /echo {{ return 200 "got $http_authorization and $http_x_api_key"; }}
    location = /cookies {{ return 200 "cookies [$http_cookie]"; }}
  }}
  server {{
    listen 127.0.0.1:{mutual} ssl http2;
    ssl_client_certificate {dir}/root.pem;
    ssl_verify_client on;
    location / {{ return 200 "$ssl_client_s_dn"; }}
  }}
}}
"""

TINYPROXY = """
Port {port}
Listen 127.0.0.1
Timeout 20
PidFile "{dir}/tinyproxy.pid"
LogFile "{dir}/tinyproxy.log"
LogLevel Connect
MaxClients 20
Allow 127.0.0.1
ConnectPort {tls}
ConnectPort {closed}
"""


class HttpProbe(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.addClassCleanup(cls._clean)
        cls.scratch = tempfile.TemporaryDirectory(prefix="tocsin-")
        cls.dir = Path(cls.scratch.name)
        cls.dir.chmod(0o755)  # nginx's worker and tinyproxy are others than root.
        cls.programs = []
        cls.ports = {name: free_port() for name in ("plain", "plain2", "old", "tls", "mutual", "proxy", "closed")}
        cls._certificates()
        root = cls.dir / "root"
        root.mkdir()
        (root / "index.html").write_text("hello\n")
        (root / "private").write_text("secret page\n")
        (root / "data.json").write_text(json.dumps({"ok": True, "list": list(range(500))}))
        (root / "bomb.json").write_bytes(b" " * (8 << 20) + b"{}")
        secrets = cls.dir / "secrets"
        secrets.mkdir()
        (secrets / "password").write_text("correct horse\n")
        (secrets / "token").write_text("tok-123456\n")
        (secrets / "client.pem").write_text((cls.dir / "client.pem").read_text())
        (secrets / "client.key").write_text((cls.dir / "client.key").read_text())
        hashed = run(["openssl", "passwd", "-apr1", "correct horse"]).strip()
        (cls.dir / "users").write_text(f"ann:{hashed}\n")
        cls.has_ipv6 = Path("/proc/net/if_inet6").exists() and "00000000000000000000000000000001" in Path(
            "/proc/net/if_inet6").read_text()
        listen6 = f"listen [::1]:{cls.ports['plain']};" if cls.has_ipv6 else ""
        (cls.dir / "nginx.conf").write_text(NGINX.format(dir=cls.dir, listen6=listen6, **cls.ports))
        (cls.dir / "tinyproxy.conf").write_text(TINYPROXY.format(dir=cls.dir, port=cls.ports["proxy"], **cls.ports))
        nginx = shutil.which("nginx") or "/usr/sbin/nginx"
        cls._start("nginx", [nginx, "-p", str(cls.dir), "-c", str(cls.dir / "nginx.conf")])
        cls._start("tinyproxy", ["tinyproxy", "-d", "-c", str(cls.dir / "tinyproxy.conf")])
        until("nginx answers", lambda: cls.check("plain", "/")["outcome"] == "up", 20)
        until("tinyproxy answers", lambda: cls.check(
            "plain", "/", "--proxy", f"http://127.0.0.1:{cls.ports['proxy']}")["outcome"] == "up", 20)

    @classmethod
    def _clean(cls):
        for program in getattr(cls, "programs", []):
            program.kill()
        if hasattr(cls, "scratch"):
            cls.scratch.cleanup()

    @classmethod
    def _start(cls, name, command):
        cls.programs.append(Program(name, command, cls.dir / f"{name}.out").start())

    @classmethod
    def _certificates(cls):
        def openssl(*words):
            run(["openssl", *words], cwd=cls.dir)
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        openssl("req", "-x509", *key, "-days", "2", "-subj", "/CN=root", "-keyout", "root.key", "-out", "root.pem")
        (cls.dir / "server.ext").write_text("subjectAltName=IP:127.0.0.1,DNS:shop.example\n")
        (cls.dir / "client.ext").write_text("extendedKeyUsage=clientAuth\n")
        for serial, name in ((11, "server"), (12, "client")):
            openssl("req", "-new", *key, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
            openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "root.pem", "-CAkey", "root.key", "-set_serial",
                    str(serial), "-days", "1", "-extfile", f"{name}.ext", "-out", f"{name}.pem")

    @classmethod
    def check(cls, server, path, *options, host="127.0.0.1"):
        scheme = "http" if server in ("plain", "closed") else "https"
        command = [str(ARGS.build / "bin" / "tocsin-agent"), "check", "--json", "--timeout", "10s",
                   f"{scheme}://{host}:{cls.ports[server]}{path}", "--secrets-dir", str(cls.dir / "secrets"), *options]
        if scheme == "https":
            command += ["--ca", str(cls.dir / "root.pem")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if not done.stdout:
            raise AssertionError(done.stderr)
        out = json.loads(done.stdout)
        out["stdout"] = done.stdout
        return out

    def assert_up(self, seen):
        self.assertEqual(seen["outcome"], "up", seen["stdout"])
        return seen

    def assert_reason(self, seen, outcome, reason):
        self.assertEqual((seen["outcome"], seen["reason"]), (outcome, reason), seen["stdout"])

    def body(self, text):
        return ("--assert", f'body contains "{text}"')

    # --- versions ---

    def test_the_server_picks_http2_and_a_monitor_may_want_one_version(self):
        seen = self.assert_up(self.check("tls", "/version", *self.body("HTTP/2.0")))
        self.assertEqual((seen["http"]["version"], seen["tls"]["alpn"]), ("2", "h2"))
        seen = self.assert_up(self.check("tls", "/version", "--http", "1.1", *self.body("HTTP/1.1")))
        self.assertEqual((seen["http"]["version"], seen["tls"]["alpn"]), ("1.1", "http/1.1"))
        seen = self.assert_up(self.check("old", "/version", *self.body("HTTP/1.1")))
        self.assertEqual(seen["http"]["version"], "1.1")
        self.assertEqual(self.check("old", "/version", "--http", "2")["outcome"], "down")
        self.assert_reason(self.check("plain", "/version", "--http", "2"), "down", "http.version")

    def test_methods_and_bodies(self):
        for server in ("plain", "tls"):
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
                self.assert_up(self.check(server, "/method", "--method", method, *self.body(method)))
            self.assert_up(self.check(server, "/method", "--method", "HEAD"))
            self.assert_reason(self.check(server, "/method", "--method", "TRACE"), "down", "assert.status")
            data = base64.b64encode(bytes(range(256)) * 100).decode()
            self.assert_up(self.check(server, "/method", "--body-base64", data, *self.body("POST")))
        # nginx knows no CONNECT: what counts is that it was asked as RFC 9110 has it.
        self.assertIn(self.check("plain", "/", "--method", "CONNECT")["http"]["status"], (400, 405))

    # --- who asks, and whom ---

    def test_passwords_and_tokens_come_from_files_and_are_nowhere_in_what_was_seen(self):
        for server in ("plain", "tls"):
            self.assert_reason(self.check(server, "/private"), "down", "assert.status")
            self.assert_up(self.check(server, "/private", "--basic", "ann:password", *self.body("secret page")))
            seen = self.assert_up(self.check(server, "/echo", "--bearer", "token", "--secret-header",
                                             "X-Api-Key: password", *self.body("got Bearer *** and ***")))
            self.assertNotIn("tok-123456", seen["stdout"])
            self.assertNotIn("correct horse", seen["stdout"])
        self.assert_reason(self.check("plain", "/private", "--bearer", "missing"), "no_data", "policy.secret")

    def test_client_certificates(self):
        self.assert_reason(self.check("mutual", "/"), "down", "assert.status")
        self.assert_up(self.check("mutual", "/", "--client-certificate", "client.pem", "--client-key", "client.key",
                                  *self.body("CN=client")))
        self.assert_reason(self.check("mutual", "/", "--client-certificate", "client.pem"),
                           "no_data", "policy.secret")

    def test_the_names_for_tls_and_for_http_are_the_monitors_to_say(self):
        self.assert_up(self.check("tls", "/version", "--server-name", "shop.example", "--header",
                                  "Host: front.example", *self.body("front.example shop.example")))
        self.assert_reason(self.check("tls", "/version", "--server-name", "other.example"),
                           "down", "tls.verify.hostname")

    def test_each_address_family_alone(self):
        seen = self.assert_up(self.check("plain", "/", "-4", host="localhost"))
        self.assertTrue(seen["address"].startswith("127.0.0.1:"), seen["address"])
        if self.has_ipv6:
            seen = self.assert_up(self.check("plain", "/", "-6", host="localhost"))
            self.assertTrue(seen["address"].startswith("[::1]:"), seen["address"])
        self.assertEqual(self.check("plain", "/", "-6")["reason"], "connect.no_address")

    # --- redirects ---

    def test_what_a_redirect_sets_goes_with_the_next_request_and_to_nobody_else(self):
        for server in ("plain", "tls"):
            self.assert_up(self.check(server, "/inside", *self.body("cookies visit=7")))
            self.assert_up(self.check(server, "/inside", "--header", "Cookie: own=1",
                                      *self.body("cookies own=1; visit=7")))
        self.assert_up(self.check("plain", "/leave", *self.body("cookies []")))
        self.assert_reason(self.check("plain", "/inside", "--redirects", "1"), "down", "http.too_many_redirects")

    def test_redirects_keep_phases_for_each_hop(self):
        seen = self.assert_up(self.check("tls", "/one", *self.body("HTTP/2.0")))
        hops = seen["http"]["hops"]
        self.assertEqual([hop["status"] for hop in hops], [302, 307, 200])
        self.assertEqual([hop["url"].rsplit("/", 1)[1] for hop in hops], ["one", "two", "version"])
        for phase, total in seen["phases"].items():
            self.assertEqual(sum(hop["phases"][phase] for hop in hops), total, phase)
        self.assertTrue(all(hop["phases"]["tls_us"] > 0 for hop in hops), hops)

    def test_what_the_kernel_knew_comes_with_a_failure(self):
        # The server may have ended its side by then.
        states = ("established", "close-wait")
        self.assertIn(self.check("plain", "/nothing")["tcp"]["state"], states)
        seen = self.check("tls", "/version", "--assert", "status == 404")
        self.assert_reason(seen, "down", "assert.status")
        tcp = seen["tcp"]
        self.assertIn(tcp["state"], states)
        self.assertEqual(tcp["retransmissions"], 0)
        self.assertGreater(tcp["rtt_us"], 0)
        self.assertGreater(tcp["bytes_received"], 500, "a handshake and an answer")
        self.assertNotIn("tcp", self.assert_up(self.check("tls", "/version")))

    def test_redirects_have_a_limit_and_no_way_down(self):
        self.assert_reason(self.check("plain", "/loop"), "down", "http.too_many_redirects")
        self.assert_reason(self.check("plain", "/one", "--redirects", "1"), "down", "http.too_many_redirects")
        self.assert_up(self.check("plain", "/one", "--redirects", "0", "--assert", "status == 302"))
        self.assert_reason(self.check("tls", "/down"), "down", "http.redirect_downgrade")
        self.assert_up(self.check("tls", "/down", "--allow-downgrade", *self.body("HTTP/1.1")))

    def test_credentials_do_not_leave_their_origin(self):
        self.assert_up(self.check("plain", "/away", "--bearer", "token", "--secret-header", "X-Api-Key: password",
                                  "--assert", 'body == "got  and "'))

    # --- what is left of an earlier attempt ---

    def test_a_connection_is_cold_unless_the_monitor_says_otherwise(self):
        for server, version in (("plain", "1.1"), ("old", "1.1"), ("tls", "2")):
            seen = self.assert_up(self.check(server, "/version"))
            self.assertEqual((seen["http"]["connection"], seen["http"]["version"]), ("cold", version))
            seen = self.assert_up(self.check(server, "/version", "--connection", "reuse"))
            self.assertEqual((seen["http"]["connection"], seen["http"]["version"]), ("reused", version))
            self.assertEqual([seen["phases"][f"{phase}_us"] for phase in ("dns", "connect", "tls")], [0, 0, 0])
        for server in ("old", "tls"):
            seen = self.assert_up(self.check(server, "/version", "--connection", "resume"))
            self.assertEqual(seen["http"]["connection"], "resumed")
            self.assertGreater(seen["phases"]["tls_us"], 0)

    def test_a_redirect_reuses_the_connection_of_its_origin(self):
        seen = self.assert_up(self.check("plain", "/one", "--connection", "reuse"))
        self.assertEqual([hop["phases"]["connect_us"] for hop in seen["http"]["hops"]], [0, 0, 0])

    # --- bodies ---

    def test_a_body_is_decoded_when_a_condition_looks_at_it(self):
        wants = ("--header", "Accept-Encoding: gzip")
        for server in ("plain", "tls"):
            seen = self.assert_up(self.check(server, "/data.json", *wants, "--assert", "json $.ok == true"))
            self.assertEqual(seen["http"]["decoded"], "gzip")
            seen = self.assert_up(self.check(server, "/data.json", *wants))
            self.assertEqual(seen["http"]["decoded"], "", "nobody looks at it")
            seen = self.assert_up(self.check(server, "/data.json", "--assert", "json $.ok == true"))
            self.assertEqual(seen["http"]["decoded"], "", "nobody asked for a coding")
        self.assert_reason(self.check("plain", "/bomb.json", *wants, "--assert", "json $.ok exists"),
                           "down", "http.decoded_too_large")

    def test_the_cap_of_the_body_is_the_monitors_to_say(self):
        seen = self.check("plain", "/data.json", "--body-max", "1024", *self.body("499"))
        self.assert_reason(seen, "down", "assert.body")
        self.assertTrue(seen["http"]["body_cut"])

    # --- proxies ---

    def test_a_proxy_is_gone_through_with_and_without_tls(self):
        proxy = ("--proxy", f"http://127.0.0.1:{self.ports['proxy']}")
        seen = self.assert_up(self.check("plain", "/version", *proxy, *self.body("HTTP/1")))
        self.assertEqual(seen["address"], f"127.0.0.1:{self.ports['proxy']}")
        seen = self.assert_up(self.check("tls", "/version", *proxy, *self.body("HTTP/2.0")))
        self.assertEqual(seen["address"], f"127.0.0.1:{self.ports['proxy']}")
        self.assertTrue(seen["tls"]["verified"])

    def test_who_is_to_blame_when_a_proxy_says_no(self):
        proxy = ("--proxy", f"http://127.0.0.1:{self.ports['proxy']}")
        # The port of mutual is none that tinyproxy lets through.
        self.assert_reason(self.check("mutual", "/", *proxy), "no_data", "policy.proxy")
        closed = ("--proxy", f"http://127.0.0.1:{self.ports['closed']}")
        self.assert_reason(self.check("tls", "/", *closed), "no_data", "policy.proxy")
        self.assertEqual(self.check("closed", "/", *proxy)["outcome"], "down")


if __name__ == "__main__":
    unittest.main(verbosity=2)

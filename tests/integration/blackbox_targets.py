"""What blackbox_exporter and the agent are both asked to probe: servers of Debian on the loopback with every kind of
good and bad answer, and the modules that ask for them."""

import socket
import socketserver
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from background import free_port
from nameservers import Nsd, Unbound
from processes import run
from tls_servers import NAME, Servers, has_ipv6

NGINX = """
daemon off;
worker_processes 1;
pid {dir}/web.pid;
error_log {dir}/web.err;
events {{ worker_connections 512; }}
http {{
  access_log off;
  default_type text/plain;
  client_body_temp_path {dir}/w1; proxy_temp_path {dir}/w2; fastcgi_temp_path {dir}/w3;
  uwsgi_temp_path {dir}/w4; scgi_temp_path {dir}/w5;
  gzip on; gzip_min_length 1; gzip_types *; gzip_proxied any;
  server {{
    listen 127.0.0.1:{web}; {listen6}
    root {dir}/root;
    absolute_redirect off;
    location = /ok {{ return 200 "all is well\\n"; }}
    location = /created {{ return 201 "made\\n"; }}
    location = /empty {{ return 204; }}
    location = /missing {{ return 404; }}
    location = /broken {{ return 503; }}
    location = /once {{ return 302 /ok; }}
    location = /enter {{ add_header Set-Cookie "visit=7; Path=/"; return 302 /inside; }}
    location = /inside {{ if ($cookie_visit != 7) {{ return 302 /enter; }} return 200 "in\n"; }}
    location = /thrice {{ return 307 /twice; }}
    location = /twice {{ return 301 http://127.0.0.1:{web}/once; }}
    location = /loop {{ return 302 /loop; }}
    location = /secure {{ return 302 https://127.0.0.1:{tls}/ok; }}
    location = /nowhere {{ return 302 http://127.0.0.1:{closed}/; }}
    location = /silent {{ return 302 http://127.0.0.1:{silent}/; }}
    location = /method {{ return 200 "$request_method $content_length\\n"; }}
    location = /host {{ return 200 "$http_host\\n"; }}
    location = /headers {{ add_header X-Kind "first"; add_header X-Kind "second"; return 200 "x\\n"; }}
    location = /private {{ auth_basic "test"; auth_basic_user_file {dir}/users; }}
    location = /bearer {{ if ($http_authorization = "Bearer tok-123456") {{ return 200 "in\\n"; }} return 401; }}
    location / {{ }}
  }}
  server {{
    listen 127.0.0.1:{tls} ssl http2;
    ssl_certificate {dir}/local.pem;
    ssl_certificate_key {dir}/local.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    location = /ok {{ return 200 "all is well\\n"; }}
    location = /once {{ return 302 /ok; }}
    location = /sni {{ return 200 "$ssl_server_name $http_host\\n"; }}
    location / {{ root {dir}/root; }}
  }}
  server {{
    listen 127.0.0.1:{mutual} ssl;
    ssl_certificate {dir}/local.pem;
    ssl_certificate_key {dir}/local.key;
    ssl_client_certificate {ca};
    ssl_verify_client on;
    location / {{ return 200 "$ssl_client_s_dn\\n"; }}
  }}
}}
"""

MODULES = """
modules:
  http_2xx: {{prober: http}}
  http_short: {{prober: http, timeout: 700ms}}
  http_ip4: {{prober: http, http: {{preferred_ip_protocol: ip4}}}}
  http_ip6_only: {{prober: http, http: {{preferred_ip_protocol: ip6, ip_protocol_fallback: false}}}}
  http_stay: {{prober: http, http: {{follow_redirects: false, valid_status_codes: [302]}}}}
  http_404: {{prober: http, http: {{valid_status_codes: [404, 410]}}}}
  http_head: {{prober: http, http: {{method: HEAD}}}}
  http_post: {{prober: http, http: {{method: POST, headers: {{Content-Type: text/plain}}, body: "hello body"}}}}
  http_body: {{prober: http, http: {{fail_if_body_not_matches_regexp: ["all is (well|fine)"]}}}}
  http_not_body: {{prober: http, http: {{fail_if_body_matches_regexp: ["nothing", "wel+"]}}}}
  http_header: {{prober: http, http: {{fail_if_header_not_matches: [{{header: x-kind, regexp: "^second$"}}]}}}}
  http_not_header: {{prober: http, http: {{fail_if_header_matches: [{{header: X-Kind, regexp: "ir"}}]}}}}
  http_missing_header:
    prober: http
    http:
      fail_if_header_not_matches: [{{header: X-Other, regexp: ".", allow_missing: true}}]
      fail_if_header_matches: [{{header: X-Other, regexp: "."}}]
  http_gzip: {{prober: http, http: {{compression: gzip}}}}
  http_gzip_body:
    prober: http
    http: {{compression: gzip, headers: {{Accept-Encoding: "br, gzip"}}, fail_if_body_not_matches_regexp: ["9999"]}}
  http_small: {{prober: http, http: {{body_size_limit: 1KB}}}}
  http_password: {{prober: http, http: {{basic_auth: {{username: ann, password: correct horse}}}}}}
  http_password_file: {{prober: http, http: {{basic_auth: {{username: ann, password_file: {dir}/password}}}}}}
  http_bearer: {{prober: http, http: {{authorization: {{credentials: tok-123456}}}}}}
  http_host:
    prober: http
    http: {{headers: {{Host: front.test}}, fail_if_body_not_matches_regexp: ["^front.test\\n$"]}}
  http_proxy: {{prober: http, http: {{proxy_url: "http://127.0.0.1:{proxy}", tls_config: {{ca_file: {ca}}}}}}}
  http_proxy_skip:
    prober: http
    http: {{proxy_url: "http://127.0.0.1:{proxy}", skip_resolve_phase_with_proxy: true}}
  http_proxy_auth:
    prober: http
    http: {{proxy_url: "http://ann:open%2Dsesame@127.0.0.1:{proxy_auth}", tls_config: {{ca_file: {ca}}}}}
  http_proxy_wrong: {{prober: http, http: {{proxy_url: "http://ann:wrong@127.0.0.1:{proxy_auth}"}}}}
  http_no_proxy: {{prober: http, http: {{proxy_url: "http://127.0.0.1:{closed}"}}}}
  http_not_ssl: {{prober: http, http: {{fail_if_not_ssl: true}}}}
  https: {{prober: http, http: {{tls_config: {{ca_file: {ca}}}}}}}
  https_1: {{prober: http, http: {{enable_http2: false, tls_config: {{ca_file: {ca}}}}}}}
  https_only_1: {{prober: http, http: {{valid_http_versions: ["HTTP/1.1"], tls_config: {{ca_file: {ca}}}}}}}
  https_any: {{prober: http, http: {{tls_config: {{insecure_skip_verify: true}}}}}}
  https_named: {{prober: http, http: {{tls_config: {{ca_file: {ca}, server_name: tls.test}}}}}}
  https_ssl: {{prober: http, http: {{fail_if_ssl: true, tls_config: {{ca_file: {ca}}}}}}}
  https_client:
    prober: http
    http: {{tls_config: {{ca_file: {ca}, cert_file: {dir}/client.pem, key_file: {dir}/client.key}}}}
  https_13: {{prober: http, http: {{tls_config: {{ca_file: {ca}, min_version: TLS13}}}}}}
  tcp_connect: {{prober: tcp, timeout: 1s}}
  tcp_banner: {{prober: tcp, timeout: 1s, tcp: {{query_response: [{{expect: "^HELLO (\\\\w+)$"}}]}}}}
  tcp_talk:
    prober: tcp
    timeout: 1s
    tcp:
      query_response:
        - {{expect: "^HELLO (?P<who>\\\\w+)$", send: "I am not ${{1}} but $who's friend $$"}}
        - {{expect: "^you said: I am not world but world's friend \\\\$$"}}
        - {{send: "bye"}}
        - {{expect: "^you said: bye"}}
  tcp_smtp:
    prober: tcp
    timeout: 4s
    tcp:
      tls_config: {{ca_file: {ca}, server_name: tls.test}}
      query_response:
        - expect: "^220 ([^ ]+) ESMTP (.+)$"
        - send: "EHLO prober\\r"
        - expect: "^250-STARTTLS"
        - send: "STARTTLS\\r"
        - expect: "^220"
        - starttls: true
        - send: "EHLO prober\\r"
        - expect: "^250[ -]"
        - send: "QUIT\\r"
  tcp_smtp_unknown:
    prober: tcp
    timeout: 4s
    tcp:
      query_response: [{{expect: "^220"}}, {{send: "EHLO prober\\r"}}, {{expect: "^250 "}}, {{send: "STARTTLS\\r"}},
                       {{expect: "^220"}}, {{starttls: true}}]
  tcp_imap:
    prober: tcp
    timeout: 4s
    tcp:
      tls_config: {{insecure_skip_verify: true}}
      query_response: [{{expect: "OK.*STARTTLS"}}, {{send: ". STARTTLS"}}, {{expect: "OK"}}, {{starttls: true}},
                       {{send: ". capability"}}, {{expect: "CAPABILITY IMAP4rev1"}}]
  tcp_tls: {{prober: tcp, timeout: 2s, tcp: {{tls: true, tls_config: {{ca_file: {ca}, server_name: tls.test}}}}}}
  tcp_tls_any: {{prober: tcp, timeout: 2s, tcp: {{tls: true, tls_config: {{insecure_skip_verify: true}}}}}}
  dns_a: {{prober: dns, timeout: 1s, dns: {{query_name: www.example.test, query_type: A}}}}
  dns_mx: {{prober: dns, timeout: 1s, dns: {{query_name: example.test, query_type: MX}}}}
  dns_any: {{prober: dns, timeout: 1s, dns: {{query_name: www.example.test}}}}
  dns_soa: {{prober: dns, timeout: 1s, dns: {{query_name: example.test, query_type: SOA, recursion_desired: false}}}}
  dns_missing: {{prober: dns, timeout: 1s, dns: {{query_name: none.example.test, query_type: A}}}}
  dns_nxdomain:
    prober: dns
    timeout: 1s
    dns: {{query_name: none.example.test, query_type: A, valid_rcodes: [NXDOMAIN]}}
  dns_nodata: {{prober: dns, timeout: 1s, dns: {{query_name: mail.example.test, query_type: AAAA}}}}
  dns_good:
    prober: dns
    timeout: 1s
    dns:
      query_name: www.example.test
      query_type: A
      validate_answer_rrs:
        fail_if_matches_regexp: [".*127.0.0.1"]
        fail_if_not_matches_regexp: ["www.example.test.\\t60\\tIN\\tA\\t192.0.2.[12]"]
        fail_if_none_matches_regexp: ["192.0.2.2$"]
        fail_if_all_match_regexp: ["192.0.2"]
  dns_all: {{prober: dns, timeout: 1s, dns: {{query_name: www.example.test, query_type: A,
             validate_answer_rrs: {{fail_if_all_match_regexp: ["192.0.2.1$"]}}}}}}
  dns_bad: {{prober: dns, timeout: 1s, dns: {{query_name: www.example.test, query_type: A,
             validate_answer_rrs: {{fail_if_matches_regexp: ["192.0.2.2"]}}}}}}
  dns_authority:
    prober: dns
    timeout: 1s
    dns: {{query_name: mail.example.test, query_type: AAAA, validate_authority_rrs:
           {{fail_if_not_matches_regexp: ["IN\\tSOA\\tns1.example.test. hostmaster.example.test. 2026010101 "]}}}}
  dns_additional:
    prober: dns
    timeout: 1s
    dns: {{query_name: example.test, query_type: MX, validate_additional_rrs:
           {{fail_if_none_matches_regexp: ["mail.example.test.\\t300\\tIN\\tA\\t192.0.2.25"]}}}}
  dns_tcp: {{prober: dns, timeout: 1s, dns: {{query_name: www.example.test, query_type: A, transport_protocol: tcp}}}}
  dns_tls:
    prober: dns
    timeout: 2s
    dns: {{query_name: www.example.test, query_type: A, transport_protocol: tcp, dns_over_tls: true,
          tls_config: {{ca_file: {dns_ca}, server_name: dns.example.test}}}}
  dns_chaos: {{prober: dns, timeout: 1s, dns: {{query_name: version.server, query_type: TXT, query_class: CH}}}}
"""


@dataclass(frozen=True)
class Case:
    """One target of both, and what must be the same beyond names, labels and the verdict."""

    module: str
    target: str
    success: bool
    hostname: str = ""
    differs: tuple[str, ...] = ()  # Values that the machine or the moment decides.

    @property
    def name(self) -> str:
        return f"{self.module} {self.target}" + (f" {self.hostname}" if self.hostname else "")


class Talker(socketserver.ThreadingTCPServer):
    """A server for whom `speak` is all there is to a connection."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, speak):
        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                try:
                    speak(self.request)
                except OSError:
                    pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()


def read_head(sock):
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(4096)
        if not piece:
            return
        data += piece


def echo_lines(sock):
    sock.sendall(b"WAIT\r\nHELLO world\r\n")
    for line in sock.makefile("rb"):
        sock.sendall(b"you said: " + line)


def wait_for_close(sock):
    sock.settimeout(30)
    while sock.recv(4096):
        pass


def answer_late(sock, seconds=0.2):
    read_head(sock)
    time.sleep(seconds)
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nLast-Modified: Sunday, 06-Nov-94 08:49:37 GMT\r\n\r\nlate\n")


def answer_cut(sock):
    read_head(sock)
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")


def answer_until_close(sock):
    read_head(sock)
    sock.sendall(b"HTTP/1.0 200 OK\r\nServer: old\r\n\r\n" + b"0123456789" * 10)


def answer_chunked(sock):
    read_head(sock)
    sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nall is\r\n5\r\n well\r\n0\r\n\r\n")


def answer_half(sock):
    read_head(sock)
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
    wait_for_close(sock)


def garbage(sock):
    read_head(sock)
    sock.sendall(b"\x16\x03\x01 this is nothing that anybody reads\r\n\r\n")


class BlackHole:
    """A port whose queue is full: what comes is neither taken nor refused."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0)
        self.port = self.listener.getsockname()[1]
        self.fill = []
        for _ in range(4):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(("127.0.0.1", self.port))
            self.fill.append(s)

    def close(self):
        for s in [*self.fill, self.listener]:
            s.close()


class Targets:
    """Everything that is probed, in one directory. `closing` gets what ends it again, the last first."""

    def __init__(self, directory: Path, closing: list):
        self.dir = directory
        directory.mkdir(mode=0o755)
        self.closing = closing
        self.servers = Servers(directory)
        self.closing.append(self.servers.stop)
        self.servers.nginx()
        self.servers.exim()
        self.servers.dovecot()
        self.servers.postgres()
        self.talkers = {}
        for speak in (echo_lines, wait_for_close, answer_late, answer_cut, answer_until_close, answer_chunked,
                      answer_half, garbage):
            talker = Talker(speak)
            self.talkers[speak.__name__] = talker.port
            self.closing.append(talker.close)
        hole = BlackHole()
        self.talkers["hole"] = hole.port
        self.closing.append(hole.close)
        self._start_web()
        self._start_proxies()
        self._start_dns()
        self.modules = directory / "blackbox.yml"
        self.modules.write_text(MODULES.format(
            dir=directory, ca=self.servers.ca, dns_ca=self.unbound.ca, proxy=self.proxy, proxy_auth=self.proxy_auth,
            closed=self.closed))

    def _start_web(self):
        self.web, self.tls, self.mutual, self.closed = (free_port() for _ in range(4))
        root = self.dir / "root"
        root.mkdir()
        (root / "page.html").write_text("hello\n")
        (root / "numbers.txt").write_text("".join(f"{n}\n" for n in range(10_000)))
        (root / "private").write_text("secret\n")
        (self.dir / "password").write_text("correct horse\n")
        (self.dir / "users").write_text(f"ann:{run(['openssl', 'passwd', '-apr1', 'correct horse']).strip()}\n")
        certificates = self.servers.certificates
        # For the address as well: that is what the exporter connects to and verifies.
        for name, names in (("local", "IP:127.0.0.1,DNS:localhost,DNS:www.tls.test,email:a@tls.test"),
                            ("client", "DNS:client.test")):
            chain, key = certificates.issue(name, names=(NAME,))
            (self.dir / f"{name}.ext").write_text(f"subjectAltName={names}\n")
            run(["openssl", "x509", "-req", "-in", f"{name}.csr", "-CA", "root.pem", "-CAkey", "root.key", "-set_serial",
                 "77", "-days", "12", "-extfile", str(self.dir / f"{name}.ext"), "-out", str(self.dir / f"{name}.pem")],
                cwd=certificates.dir)
            (self.dir / f"{name}.key").write_text(Path(key).read_text())
        listen6 = f"listen [::1]:{self.web};" if has_ipv6() else ""
        config = self.dir / "web.conf"
        config.write_text(NGINX.format(dir=self.dir, web=self.web, tls=self.tls, mutual=self.mutual, closed=self.closed,
                                       silent=self.talkers["wait_for_close"], ca=self.servers.ca, listen6=listen6))
        self.servers._start("web", ["/usr/sbin/nginx", "-e", f"{self.dir}/web.err", "-c", str(config)],
                            [self.web, self.tls, self.mutual])

    def _start_proxies(self):
        """One for everybody, and one that asks for a password."""
        self.proxy, self.proxy_auth = free_port(), free_port()
        for name, port, more in (("proxy", self.proxy, ""),
                                 ("proxy_auth", self.proxy_auth, "BasicAuth ann open-sesame\n")):
            config = self.dir / f"{name}.conf"
            config.write_text(f"Port {port}\nListen 127.0.0.1\nTimeout 20\nPidFile \"{self.dir}/{name}.pid\"\n"
                              f"LogFile \"{self.dir}/{name}.log\"\nLogLevel Connect\nMaxClients 20\n"
                              f"Allow 127.0.0.1\nConnectPort {self.tls}\n{more}")
            self.servers._start(name, ["tinyproxy", "-d", "-c", str(config)], [port])

    def _start_dns(self):
        self.nsd = Nsd(self.dir)
        self.closing.append(self.nsd.program.kill)
        self.nsd.start()
        self.unbound = Unbound(self.dir, self.nsd)
        self.closing.append(self.unbound.program.kill)
        self.unbound.start()

    def cases(self) -> list[Case]:
        web, tls = f"127.0.0.1:{self.web}", f"https://127.0.0.1:{self.tls}"
        talk = {name: f"127.0.0.1:{port}" for name, port in self.talkers.items()}
        port = {name: f"127.0.0.1:{number}" for name, number in self.servers.ports.items()}
        nsd, unbound = f"127.0.0.1:{self.nsd.port}", f"127.0.0.1:{self.unbound.port}"
        out = [
            Case("http_2xx", f"{web}/ok", True),
            Case("http_2xx", f"http://{web}/ok?x=1&y=%20", True),
            Case("http_2xx", f"localhost:{self.web}/ok", True),
            Case("http_ip4", f"localhost:{self.web}/ok", True),
            Case("http_ip6_only", f"{web}/ok", False),
            Case("http_2xx", f"{web}/created", True),
            Case("http_2xx", f"{web}/empty", True),
            Case("http_2xx", f"{web}/missing", False),
            Case("http_404", f"{web}/missing", True),
            Case("http_2xx", f"{web}/broken", False),
            Case("http_2xx", f"{web}/page.html", True),
            Case("http_2xx", f"{web}/once", True),
            Case("http_2xx", f"{web}/thrice", True),
            Case("http_2xx", f"{web}/loop", False),
            Case("http_2xx", f"{web}/nowhere", False),
            Case("http_short", f"{web}/silent", False),
            Case("http_stay", f"{web}/once", True),
            Case("http_2xx", f"{web}/secure", False),
            Case("https_any", f"{web}/secure", True),
            Case("http_head", f"{web}/page.html", True),
            Case("http_post", f"{web}/method", True),
            Case("http_body", f"{web}/ok", True),
            Case("http_body", f"{web}/created", False),
            Case("http_body", f"{web}/missing", False),
            Case("http_not_body", f"{web}/ok", False),
            Case("http_header", f"{web}/headers", True),
            Case("http_header", f"{web}/ok", False),
            Case("http_not_header", f"{web}/headers", False),
            Case("http_missing_header", f"{web}/headers", False),
            Case("http_gzip", f"{web}/numbers.txt", False, differs=("probe_http_uncompressed_body_length",)),
            Case("http_gzip_body", f"{web}/numbers.txt", True),
            Case("http_gzip", f"{talk['answer_until_close']}/", False),
            Case("http_small", f"{web}/numbers.txt", False),
            Case("http_small", f"{web}/ok", True),
            Case("http_password", f"{web}/private", True),
            Case("http_password_file", f"{web}/private", True),
            Case("http_2xx", f"{web}/private", False),
            Case("http_bearer", f"{web}/bearer", True),
            Case("http_host", f"{web}/host", True),
            Case("http_host", f"{web}/host", True, hostname="front.test"),
            Case("http_2xx", f"{web}/host", True, hostname="other.test"),
            Case("http_proxy", f"{web}/ok", True),
            Case("http_proxy", f"{web}/missing", False),
            Case("http_proxy", f"{tls}/ok", True),
            Case("http_proxy_skip", f"{web}/ok", True),
            Case("http_proxy_skip", f"{web}/thrice", True),
            Case("http_2xx", f"{web}/inside", True),
            Case("http_proxy_auth", f"{web}/ok", True),
            Case("http_proxy_auth", f"{tls}/ok", True),
            Case("http_proxy_wrong", f"{web}/ok", False),
            Case("http_no_proxy", f"{web}/ok", False),
            Case("http_not_ssl", f"{web}/ok", False),
            Case("http_2xx", f"127.0.0.1:{self.closed}", False),
            Case("http_2xx", "bad..name", False),
            Case("http_short", f"{talk['hole']}/", False),
            Case("http_short", f"{talk['wait_for_close']}/", False),
            Case("http_short", f"{talk['answer_half']}/", False),
            Case("http_2xx", f"{talk['answer_late']}/", True),
            Case("http_2xx", f"{talk['answer_cut']}/", False),
            Case("http_2xx", f"{talk['answer_until_close']}/", True),
            Case("http_body", f"{talk['answer_chunked']}/", True),
            Case("http_2xx", f"{talk['garbage']}/", False),
            Case("http_2xx", f"{tls}/ok", False),
            Case("https", f"{tls}/ok", True),
            Case("https", f"{tls}/once", True),
            Case("https", f"https://localhost:{self.tls}/page.html", True),
            Case("https", f"{tls}/sni", True, hostname="www.tls.test"),
            Case("https_1", f"{tls}/ok", True),
            Case("https_only_1", f"{tls}/ok", False),
            Case("https_13", f"{tls}/ok", True),
            Case("https_ssl", f"{tls}/ok", False),
            Case("https_any", f"{tls}/ok", True),
            Case("https_client", f"https://127.0.0.1:{self.mutual}/", True),
            Case("https", f"https://127.0.0.1:{self.mutual}/", False),
            Case("https_named", f"https://{port['good']}/", True),
            Case("https_named", f"https://{port['deep']}/", True),
            Case("https_named", f"https://{port['expired']}/", False),
            Case("https_named", f"https://{port['name']}/", False),
            Case("https_named", f"https://{port['unknown']}/", False),
            Case("https_any", f"https://{port['expired']}/", True),
            Case("https", f"https://{web}/", False),
            Case("tcp_connect", port["postgres"], True),
            Case("tcp_connect", f"localhost:{self.web}", True),
            Case("tcp_connect", f"127.0.0.1:{self.closed}", False),
            Case("tcp_connect", talk["hole"], False),
            Case("tcp_connect", "127.0.0.1", False),
            Case("tcp_connect", "bad..name:80", False),
            Case("tcp_banner", talk["echo_lines"], True),
            Case("tcp_banner", talk["wait_for_close"], False),
            Case("tcp_banner", talk["answer_cut"], False),
            Case("tcp_banner", port["smtp"], False),
            Case("tcp_talk", talk["echo_lines"], True),
            Case("tcp_smtp", port["smtp"], True),
            Case("tcp_smtp_unknown", port["smtp"], False),
            Case("tcp_smtp", port["smtp_plain"], False),
            Case("tcp_imap", port["imap"], True),
            Case("tcp_tls", port["good"], True),
            Case("tcp_tls", port["expired"], False),
            Case("tcp_tls_any", port["self_signed"], True),
            Case("tcp_tls", web, False),
            Case("dns_a", nsd, True),
            Case("dns_a", unbound, True),
            Case("dns_a", f"localhost:{self.unbound.port}", True),
            Case("dns_mx", nsd, True),
            Case("dns_any", nsd, True),
            Case("dns_soa", nsd, True),
            Case("dns_missing", nsd, False),
            Case("dns_nxdomain", nsd, True),
            Case("dns_nodata", nsd, True),
            Case("dns_good", nsd, True),
            Case("dns_all", nsd, False),
            Case("dns_bad", nsd, False),
            Case("dns_authority", nsd, True),
            Case("dns_additional", nsd, True),
            Case("dns_tcp", nsd, True),
            Case("dns_tls", f"127.0.0.1:{self.unbound.tls_port}", True),
            Case("dns_chaos", nsd, False),
            Case("dns_a", "bad..name", False),
            Case("dns_a", f"127.0.0.1:{self.closed}", False),
            Case("dns_a", talk["hole"], False),
        ]
        if has_ipv6():
            out += [Case("http_2xx", f"http://[::1]:{self.web}/ok", True),
                    Case("http_ip6_only", f"http://[::1]:{self.web}/ok", True)]
        return out

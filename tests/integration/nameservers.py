"""The name servers of Debian on free ports of the loopback: nsd has the zones, unbound asks it and speaks TLS."""

import random
import socket
from pathlib import Path

from background import PORTS
from processes import Program, run, until

TEXT = "x" * 200

ZONE = f"""$ORIGIN example.test.
$TTL 300
@       SOA ns1 hostmaster 2026010101 3600 900 604800 60
@       NS ns1
@       NS ns2
@       MX 10 mail
@       CAA 0 issue "ca.example.net"
@       TXT "v=spf1 -all" "second \\"text\\""
ns1     A 192.0.2.53
ns2     A 192.0.2.54
mail    A 192.0.2.25
www     60 A 192.0.2.1
www     60 A 192.0.2.2
www     AAAA 2001:db8::1
alias   CNAME www
_sip._tcp SRV 5 10 5060 mail
svc     HTTPS 1 . alpn="h2,h3" port=8443 ipv4hint=192.0.2.1 ipv6hint=2001:db8::1
""" + "".join(f"large TXT \"{n:03}{TEXT}\"\n" for n in range(20)) + \
    "".join(f"many A 192.0.3.{n}\n" for n in range(1, 101))

REVERSE4 = """$ORIGIN 2.0.192.in-addr.arpa.
$TTL 300
@ SOA ns1.example.test. hostmaster.example.test. 1 3600 900 604800 60
@ NS ns1.example.test.
1 PTR www.example.test.
"""

REVERSE6 = """$ORIGIN 8.b.d.0.1.0.0.2.ip6.arpa.
$TTL 300
@ SOA ns1.example.test. hostmaster.example.test. 1 3600 900 604800 60
@ NS ns1.example.test.
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 PTR www.example.test.
"""

SIGNED = """$ORIGIN {name}.
$TTL 300
@   SOA ns1.example.test. hostmaster.example.test. 1 3600 900 604800 60
@   NS ns1.example.test.
www A 192.0.2.80
"""


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


ADDRESSES = ["127.0.0.1"] + (["::1"] if has_ipv6() else [])


def endpoint(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def is_free(port: int) -> bool:
    for address in ADDRESSES:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(family, kind) as s:
                try:
                    s.bind((address, port))
                except OSError:
                    return False
    return True


def free_dns_port() -> int:
    """Free for UDP and TCP on every loopback address."""
    for port in random.SystemRandom().sample(PORTS, 200):
        if is_free(port):
            return port
    raise RuntimeError("no port is free for UDP and TCP")


def tcp_opens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def sign(directory: Path, name: str) -> str:
    """Writes NAME.zone signed with a new key; answers the DS-like trust anchor (the DNSKEY's line)."""
    (directory / f"{name}.plain").write_text(SIGNED.format(name=name))
    key = run(["ldns-keygen", "-k", "-a", "ECDSAP256SHA256", "-r", "/dev/urandom", name], cwd=directory).strip()
    run(["ldns-signzone", "-f", f"{name}.zone", f"{name}.plain", key], cwd=directory)
    return (directory / f"{key}.key").read_text()


class Nsd:
    """Authoritative for example.test, two reverse zones, signed.test and bogus.test; broken.test it cannot load."""

    def __init__(self, directory: Path):
        self.dir = directory
        self.port = free_dns_port()
        zones = {"example.test": ZONE, "2.0.192.in-addr.arpa": REVERSE4, "8.b.d.0.1.0.0.2.ip6.arpa": REVERSE6}
        for name, text in zones.items():
            (directory / f"{name}.zone").write_text(text)
        self.anchor = sign(directory, "signed.test")
        # Whoever trusts another key than the one it is signed with finds it bogus.
        sign(directory, "bogus.test")
        self.wrong_anchor = self.anchor.replace("signed.test.", "bogus.test.")
        names = list(zones) + ["signed.test", "bogus.test", "broken.test"]
        (directory / "nsd.conf").write_text(
            "server:\n"
            + "".join(f"  ip-address: {address}@{self.port}\n" for address in ADDRESSES)
            + f"  username: \"\"\n  zonesdir: \"{directory}\"\n  pidfile: \"{directory}/nsd.pid\"\n"
              f"  xfrdfile: \"{directory}/xfrd.state\"\n  zonelistfile: \"{directory}/zone.list\"\n"
              "  database: \"\"\n  server-count: 1\n  hide-version: yes\n"
              "remote-control:\n  control-enable: no\n"
            + "".join(f"zone:\n  name: \"{name}\"\n  zonefile: \"{name}.zone\"\n" for name in names))
        self.program = Program("nsd", ["nsd", "-d", "-c", str(directory / "nsd.conf")], directory / "nsd.log")

    def start(self) -> "Nsd":
        self.program.start()
        until("nsd listens", lambda: self.program.check() or tcp_opens(self.port), 30)
        return self


class Unbound:
    """Asks nsd; UDP, TCP and TLS. Its certificate is for dns.example.test and the loopback's addresses."""

    def __init__(self, directory: Path, nsd: Nsd):
        self.dir = directory
        self.port = free_dns_port()
        self.tls_port = free_dns_port()
        self.ca = directory / "root.pem"
        self._make_certificate()
        (directory / "signed.key").write_text(nsd.anchor)
        (directory / "bogus.key").write_text(nsd.wrong_anchor)
        stubs = {name: nsd.port for name in ("example.test", "signed.test", "bogus.test", "broken.test",
                                             "2.0.192.in-addr.arpa", "8.b.d.0.1.0.0.2.ip6.arpa")}
        (directory / "unbound.conf").write_text(
            "server:\n"
            + "".join(f"  interface: {address}@{port}\n" for address in ADDRESSES
                      for port in (self.port, self.tls_port))
            + f"  tls-port: {self.tls_port}\n  tls-service-key: \"{directory}/server.key\"\n"
              f"  tls-service-pem: \"{directory}/server.pem\"\n"
              f"  username: \"\"\n  chroot: \"\"\n  directory: \"{directory}\"\n  pidfile: \"{directory}/unbound.pid\"\n"
              "  use-syslog: no\n  logfile: \"\"\n  num-threads: 1\n  do-not-query-localhost: no\n"
              "  local-zone: \"test.\" nodefault\n  local-zone: \"2.0.192.in-addr.arpa.\" nodefault\n"
              "  local-zone: \"8.b.d.0.1.0.0.2.ip6.arpa.\" nodefault\n"
              "  local-zone: \"private.test.\" refuse\n"
              f"  trust-anchor-file: \"{directory}/signed.key\"\n  trust-anchor-file: \"{directory}/bogus.key\"\n"
              "  module-config: \"validator iterator\"\n"
            + "".join(f"  access-control: {address}{'/128' if ':' in address else '/32'} allow\n"
                      for address in ADDRESSES)
            + "  access-control: 127.0.0.9/32 refuse\n"
              "remote-control:\n  control-enable: no\n"
            + "".join(f"stub-zone:\n  name: \"{name}\"\n  stub-addr: 127.0.0.1@{port}\n"
                      for name, port in stubs.items()))
        self.program = Program("unbound", ["unbound", "-d", "-c", str(directory / "unbound.conf")],
                               directory / "unbound.log")

    def _make_certificate(self):
        def openssl(*words: str):
            run(["openssl", *words], cwd=self.dir)

        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        openssl("req", "-x509", *key, "-days", "2", "-subj", "/CN=root", "-keyout", "root.key", "-out", "root.pem")
        openssl("req", "-new", *key, "-subj", "/CN=resolver", "-keyout", "server.key", "-out", "server.csr")
        (self.dir / "server.ext").write_text(
            "subjectAltName=DNS:dns.example.test,IP:127.0.0.1,IP:::1\n")
        openssl("x509", "-req", "-in", "server.csr", "-CA", "root.pem", "-CAkey", "root.key", "-set_serial", "7",
                "-days", "1", "-extfile", "server.ext", "-out", "server.pem")

    def start(self) -> "Unbound":
        self.program.start()
        until("unbound listens", lambda: self.program.check() or (tcp_opens(self.port) and tcp_opens(self.tls_port)),
              30)
        return self

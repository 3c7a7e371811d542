"""Real TLS servers of Debian on the loopback, with certificates made for the test: nginx, exim, dovecot,
PostgreSQL and `openssl s_server`. Everything lies in one directory and ends with it."""

import datetime
import os
import pwd
import shutil
import socket
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from faults import Faults  # noqa: E402
from processes import Program, run, until  # noqa: E402
from world import free_port  # noqa: E402

POSTGRES = Path("/usr/lib/postgresql/15/bin")
NAME = "tls.test"

CA_CONFIG = """
[ca]
default_ca = d
[d]
database = {dir}/index.txt
serial = {dir}/serial
new_certs_dir = {dir}
default_md = sha256
policy = p
unique_subject = no
[p]
commonName = supplied
"""


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
            sock.bind(("::1", 0))
        return True
    except OSError:
        return False


def accepts(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=2):
        return True


class Certificates:
    """Keys and certificates as files in a directory; days are from now."""

    def __init__(self, directory: Path):
        self.dir = directory
        (directory / "index.txt").write_text("")
        (directory / "serial").write_text("1000\n")
        (directory / "ca.cnf").write_text(CA_CONFIG.format(dir=directory))
        self.root("root")
        self.root("stranger")

    def _openssl(self, *words: str):
        run(["openssl", *words], cwd=self.dir)

    def root(self, name: str):
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "400",
                      "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")

    def issue(self, name: str, by: str = "root", begins: float = -1, ends: float = 30, names=(NAME,), ca: bool = False,
              rsa: int = 0, chain=()) -> tuple[str, str]:
        """A certificate by `by` for DNS names, or for "IP:ADDRESS"; answers the paths of the certificate with its
        chain, and of its key."""
        key = (["-newkey", f"rsa:{rsa}"] if rsa else
               ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
        self._openssl("req", "-new", *key, "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key",
                      "-out", f"{name}.csr")
        extensions = "basicConstraints=critical,CA:TRUE\n" if ca else (
            "subjectAltName=" + ",".join(n if n.startswith("IP:") else f"DNS:{n}" for n in names) + "\n")
        (self.dir / f"{name}.ext").write_text(extensions)

        def when(days: float) -> str:
            moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
            return moment.strftime("%Y%m%d%H%M%SZ")

        self._openssl("ca", "-batch", "-config", "ca.cnf", "-cert", f"{by}.pem", "-keyfile", f"{by}.key", "-notext",
                      "-in", f"{name}.csr", "-out", f"{name}.pem", "-startdate", when(begins), "-enddate", when(ends),
                      "-extfile", f"{name}.ext")
        whole = self.dir / f"{name}.chain"
        whole.write_text("".join((self.dir / f"{part}.pem").read_text() for part in (name, *chain)))
        return str(whole), str(self.dir / f"{name}.key")

    # --- what a server may staple ---

    def signer(self, name: str, by: str):
        """A certificate that signs OCSP answers for `by`."""
        self.issue(name, by=by)
        text = (self.dir / f"{name}.ext").read_text() + "extendedKeyUsage=OCSPSigning\n"
        (self.dir / f"{name}.ext").write_text(text)
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{by}.pem", "-CAkey", f"{by}.key", "-days", "30",
                      "-extfile", f"{name}.ext", "-out", f"{name}.pem")

    def revoke(self, name: str, by: str, why: str) -> str:
        """Answers the day on which it was, "2026-11-21"."""
        self._openssl("ca", "-config", "ca.cnf", "-cert", f"{by}.pem", "-keyfile", f"{by}.key",
                      "-revoke", f"{name}.pem", "-crl_reason", why)
        rows = [line.split("\t") for line in (self.dir / "index.txt").read_text().splitlines()]
        when = next(row[2] for row in rows if row[5] == f"/CN={name}")
        return f"20{when[0:2]}-{when[2:4]}-{when[4:6]}"

    def staple(self, name: str, by: str, signer: str = "", days: int = 7, env: dict | None = None) -> str:
        """The path of an OCSP answer about a certificate of `by`, as the index has it."""
        signer = signer or by
        run(["openssl", "ocsp", "-index", "index.txt", "-CA", f"{by}.pem", "-issuer", f"{by}.pem",
             "-cert", f"{name}.pem", "-rsigner", f"{signer}.pem", "-rkey", f"{signer}.key", "-ndays", str(days),
             "-noverify", "-respout", f"{name}.ocsp"], cwd=self.dir, **(env or {}))
        return str(self.dir / f"{name}.ocsp")

    def self_signed(self, name: str) -> tuple[str, str]:
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                      "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{NAME}", "-keyout", f"{name}.key",
                      "-out", f"{name}.pem")
        return str(self.dir / f"{name}.pem"), str(self.dir / f"{name}.key")


class Servers:
    """`ports` maps a word to the port of what it names."""

    def __init__(self, directory: Path):
        self.dir = directory
        directory.chmod(0o755)  # Servers drop their rights and read their certificates then.
        self.pki = directory / "pki"
        self.pki.mkdir()
        self.certificates = Certificates(self.pki)
        self.ca = str(self.pki / "root.pem")
        self.programs: list[Program] = []
        self.ports: dict[str, int] = {}
        self.revoked_on = ""

    def stop(self):
        for program in reversed(self.programs):
            program.stop()

    def _start(self, name: str, command: list[str], ports, **env):
        program = Program(name, command, self.dir / f"{name}.log", env=env)
        self.programs.append(program)
        program.start()
        for port in ports:
            until(f"{name} listens on {port}", lambda: (program.check(), accepts(port))[1], 30)

    # --- nginx: one port for each certificate ---

    def nginx(self):
        make = self.certificates.issue
        make("middle", ca=True)
        for n in range(1, 5):
            make(f"deep{n}", by=f"deep{n - 1}" if n > 1 else "middle", ca=True)
        make("stale", begins=-40, ends=-2, ca=True)
        sites = {
            "good": make("good", by="middle", ends=20, chain=("middle",)),
            "expired": make("expired", begins=-30, ends=-3),
            "not_yet": make("not_yet", begins=3),
            "name": make("name", names=("other.test", "*.other.test")),
            "self_signed": self.certificates.self_signed("self_signed"),
            "unknown": make("unknown", by="stranger"),
            "no_chain": make("no_chain", by="middle"),
            "deep": make("deep", by="deep4", chain=("deep4", "deep3", "deep2", "deep1", "middle")),
            "stale_issuer": make("of_stale", by="stale", chain=("stale",)),
        }
        blocks = []
        for name, (certificate, key) in sites.items():
            port = self.ports[name] = free_port()
            v6 = f"listen [::1]:{port} ssl;" if has_ipv6() else ""
            blocks.append(f"server {{ listen 127.0.0.1:{port} ssl; {v6} ssl_certificate {certificate};"
                          f" ssl_certificate_key {key}; return 200; }}")
        self.ports["plain"] = free_port()
        blocks.append(f"server {{ listen 127.0.0.1:{self.ports['plain']}; return 200; }}")
        self._nginx("nginx", blocks, list(self.ports.values()))

    def stapling(self, build: Path):
        """nginx with what it staples from files; needs nginx() before, for the certificates."""
        make = self.certificates
        make.signer("signer", by="middle")
        make.signer("impostor", by="stranger")
        faults = Faults(build, self.dir / "faults", self.dir)
        faults.step_clock(-10 * 86400)
        signers = {"revoked": "middle", "delegated": "signer", "foreign": "stranger", "impostor_signed": "impostor",
                   "outdated": "middle", "stapled": "middle"}
        sites = {}
        for name, signer in signers.items():
            certificate, key = make.issue(name, by="middle", begins=-20, names=(NAME, "IP:127.0.0.1"), chain=("middle",))
            if name == "revoked":
                self.revoked_on = make.revoke(name, by="middle", why="keyCompromise")
            env = faults.env if name == "outdated" else None
            sites[name] = (certificate, key, make.staple(name, by="middle", signer=signer, env=env))
        sites["mixed_up"] = (*make.issue("mixed_up", by="middle", chain=("middle",)), str(self.pki / "stapled.ocsp"))
        sites["unstapled"] = (str(self.pki / "good.chain"), str(self.pki / "good.key"), "")
        blocks = []
        for name, (certificate, key, staple) in sites.items():
            port = self.ports[name] = free_port()
            stapling = f"ssl_stapling on; ssl_stapling_file {staple};" if staple else ""
            away = f"location /away {{ return 302 https://127.0.0.1:{self.ports['revoked']}/; }}"
            blocks.append(f"server {{ listen 127.0.0.1:{port} ssl http2; ssl_certificate {certificate};"
                          f" ssl_certificate_key {key}; {stapling} location / {{ return 200 ok; }} {away} }}")
        self._nginx("stapling", blocks, [self.ports[name] for name in sites])

    def _nginx(self, name: str, blocks: list[str], ports: list[int]):
        d = self.dir / name
        d.mkdir()
        d.chmod(0o755)
        config = d / "nginx.conf"
        config.write_text(f"daemon off; pid {d}/nginx.pid; error_log {d}/nginx.err; worker_processes 1;\n"
                          "events { worker_connections 64; }\n"
                          f"http {{ access_log off; client_body_temp_path {d}/a; proxy_temp_path {d}/b;"
                          f" fastcgi_temp_path {d}/c; uwsgi_temp_path {d}/d; scgi_temp_path {d}/e;\n"
                          "ssl_protocols TLSv1.2 TLSv1.3;\n" + "\n".join(blocks) + "}\n")
        self._start(name, ["/usr/sbin/nginx", "-e", f"{d}/nginx.err", "-c", str(config)], ports)

    # --- openssl s_server: what nobody configures any more ---

    def s_server(self, name: str, *words: str, certificate="good"):
        port = self.ports[name] = free_port()
        pem, key = str(self.pki / f"{certificate}.chain"), str(self.pki / f"{certificate}.key")
        self._start(name, ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", pem, "-cert_chain", pem,
                           "-key", key, "-quiet", *words], [port])

    def odd_servers(self):
        self.certificates.issue("weak", rsa=1024)
        self.s_server("tls11", "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")
        self.s_server("tls12", "-tls1_2")
        self.s_server("alpn", "-alpn", "h2")
        self.s_server("wants_client", "-tls1_2", "-Verify", "1")
        self.s_server("picky_name", "-servername", "only.test", "-servername_fatal",
                      "-cert2", str(self.pki / "good.pem"), "-key2", str(self.pki / "good.key"))
        self.s_server("weak", "-cipher", "DEFAULT@SECLEVEL=0", certificate="weak")

    # --- mail ---

    def exim(self):
        owner = pwd.getpwnam("Debian-exim")
        d = self.dir / "exim"
        for path in (d, d / "spool", d / "log"):
            path.mkdir(exist_ok=True)
            if os.geteuid() == 0:
                os.chown(path, owner.pw_uid, owner.pw_gid)
        self.certificates.staple("good", by="middle")
        for name, offer in (("smtp", "*"), ("smtp_stapled", "*"), ("smtp_plain", "")):
            port = self.ports[name] = free_port()
            config = d / f"{name}.conf"
            for part in ("chain", "key", "ocsp"):
                copy = d / f"good.{part}"
                shutil.copy(self.pki / f"good.{part}", copy)
                copy.chmod(0o644)
            config.write_text(f"primary_hostname = {NAME}\nspool_directory = {d}/spool\n"
                              f"log_file_path = {d}/log/%slog\nlocal_interfaces = 127.0.0.1\n"
                              f"daemon_smtp_ports = {port}\nkeep_environment =\nhost_lookup =\n"
                              f"tls_advertise_hosts = {offer}\ntls_certificate = {d}/good.chain\n"
                              f"tls_privatekey = {d}/good.key\nacl_smtp_rcpt = deny\n")
            if name == "smtp_stapled":
                config.write_text(config.read_text() + f"tls_ocsp_file = {d}/good.ocsp\n")
            config.chmod(0o644)
            self._start(name, ["/usr/sbin/exim4", "-C", str(config), "-bdf", "-q1m", "-oP", f"{d}/{name}.pid"], [port])

    def dovecot(self):
        d = self.dir / "dovecot"
        d.mkdir()
        d.chmod(0o755)
        for name in ("imap", "pop3"):
            self.ports[name] = free_port()
        user = "" if os.geteuid() == 0 else (
            f"default_internal_user = {pwd.getpwuid(os.geteuid()).pw_name}\n"
            f"default_login_user = {pwd.getpwuid(os.geteuid()).pw_name}\n")
        config = d / "dovecot.conf"
        config.write_text(f"""base_dir = {d}/run
log_path = {d}/log
protocols = imap pop3
listen = 127.0.0.1
ssl = yes
ssl_cert = <{self.pki}/good.chain
ssl_key = <{self.pki}/good.key
{user}passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home={d}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {self.ports['imap']}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {self.ports['pop3']}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
""")
        self._start("dovecot", ["/usr/sbin/dovecot", "-F", "-c", str(config)],
                    [self.ports["imap"], self.ports["pop3"]])

    # --- PostgreSQL, which does not run as root ---

    def postgres(self):
        as_postgres = []
        if os.geteuid() == 0:
            as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        for name, ssl in (("postgres", "on"), ("postgres_plain", "off")):
            d = self.dir / name
            d.mkdir()
            key = d / "server.key"
            shutil.copy(self.pki / "good.key", key)
            key.chmod(0o600)
            if as_postgres:
                owner = pwd.getpwnam("postgres")
                for path in (d, key):
                    os.chown(path, owner.pw_uid, owner.pw_gid)
            port = self.ports[name] = free_port()
            done = subprocess.run([*as_postgres, str(POSTGRES / "initdb"), "-D", f"{d}/data", "-A", "trust", "-N"],
                                  capture_output=True, text=True, timeout=120, cwd="/")
            if done.returncode:
                raise AssertionError(done.stdout + done.stderr)
            self._start(name, [*as_postgres, str(POSTGRES / "postgres"), "-D", f"{d}/data", "-p", str(port),
                               "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={d}",
                               "-c", f"ssl={ssl}", "-c", f"ssl_cert_file={self.pki}/good.chain",
                               "-c", f"ssl_key_file={key}", "-c", "fsync=off"], [port])

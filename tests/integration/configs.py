"""The configuration files of a test installation and of `make run`, as text. One place for key names."""

from dataclasses import dataclass, field


@dataclass
class Monitor:
    key: str
    url: str = ""  # http
    address: str = ""  # tcp: HOST:PORT
    interval: str = "1s"
    retries: int = 0
    timeout: str = ""
    name: str = ""
    service: str = "web"
    quorum: str = ""
    asserts: list[str] = field(default_factory=list)

    def yaml(self) -> str:
        lines = [f"  - key: {self.key}", f"    name: {self.name or self.key}"]
        if self.url:
            lines += ["    type: http", f"    url: {self.url}"]
        else:
            host, port = self.address.rsplit(":", 1)
            lines += ["    type: tcp", f"    host: {host}", f"    port: {port}"]
        lines += [f"    interval: {self.interval}", f"    retries: {self.retries}"]
        if self.timeout:
            lines.append(f"    timeout: {self.timeout}")
        if self.quorum:
            lines.append(f"    quorum: {self.quorum}")
        if self.asserts:
            lines += ["    assert:"] + [f"      - {a}" for a in self.asserts]
        lines.append(f"    service: {self.service}")
        return "\n".join(lines) + "\n"


def monitors_yaml(regions: dict[str, str], monitors: list[Monitor], hook_url: str, secret_name: str,
                  page: str = "demo", title: str = "Demo") -> str:
    """Regions by key, one webhook channel, one policy, one service `web`, `system` on it too, and a page
    with every monitor."""
    text = "regions:\n"
    text += "".join(f"  - {{key: {key}, name: {name}}}\n" for key, name in regions.items())
    text += ("channels:\n"
             f"  - {{key: ops-hook, type: webhook, url: \"{hook_url}\", secret: {{file: {secret_name}}}}}\n"
             "escalation-policies:\n"
             "  - {key: page-ops, repeat: 0, steps: [{delay: 0s, notify: [{channel: ops-hook}]}]}\n"
             "services:\n"
             "  - {key: web, name: Web, policy: page-ops}\n"
             "  - {key: system, name: Monitoring itself, policy: page-ops}\n"
             "monitors:\n")
    text += "".join(m.yaml() for m in monitors)
    components = ", ".join(f"{{monitor: {m.key}}}" for m in monitors[:100])  # A page has 500 at most.
    text += (f"status-pages:\n  - {{slug: {page}, title: {title}, "
             f"groups: [{{name: Site, components: [{components}]}}]}}\n")
    return text


def collector_yaml(api_port: int, agents_port: int, state_dir: str, secrets_dir: str,
                   monitors_file: str, log: str = "info", extra: str = "") -> str:
    return (f"listen: 127.0.0.1:{api_port}\n"
            f"agents: tcp://127.0.0.1:{agents_port}\n"
            f"public_url: http://127.0.0.1:{api_port}\n"
            f"state_dir: {state_dir}\n"
            f"secrets_dir: {secrets_dir}\n"
            f"monitors_file: {monitors_file}\n"
            "store: {type: sqlite}\n"
            f"log: {log}\n" + extra)


def agent_yaml(listen_port: int, state_dir: str, log: str = "info", extra: str = "") -> str:
    return (f"listen: 127.0.0.1:{listen_port}\n"
            f"state_dir: {state_dir}\n"
            "# The targets of this installation are on the loopback; the default is public.\n"
            "egress: {class: private, allow: [127.0.0.0/8, \"::1\"]}\n"
            f"log: {log}\n" + extra)

#!/usr/bin/python3
"""A mail server to look at: takes mails, prints each as one line of JSON, and misbehaves on request.

    tests/support/smtp_receiver.py --port 7491 [--log mails.jsonl] [--script 451,stall,cut,accept]
        [--certificate F --key F [--require-starttls | --implicit]] [--user NAME --password-file F]

The script says what becomes of the mails, one word each; the last word holds for all that follow:
accept, mail:N, rcpt:N (that reply to MAIL FROM or RCPT TO), N or data:N (that reply to the message),
stall (no reply to the message), cut (the connection is cut instead of it). With --commands each line
of standard input is a new script, answered by a line {"script": ...}. Exits 0 on SIGTERM and Ctrl-C.
"""

import argparse
import asyncio
import email
import email.policy
import json
import signal
import ssl
import sys
import time

from aiosmtpd.smtp import SMTP, AuthResult

MAIL_BYTES_MAX = 1 << 20
STALL_S = 60


def parse_script(text):
    words = text.strip().split(",")
    for i, word in enumerate(words):
        name, _, value = word.rpartition(":")
        name = name or "data"
        if word in ("accept", "stall", "cut"):
            continue
        if name not in ("mail", "rcpt", "data") or not value.isdigit() or not 400 <= int(value) <= 599:
            raise argparse.ArgumentTypeError(
                f"{word!r}: expected accept, stall, cut, mail:N, rcpt:N, data:N or N of 400 to 599")
        words[i] = f"{name}:{value}"
    return words


def describe(envelope, action, session):
    """What is printed of a mail: headers and parts decoded, and the bytes as they came."""
    message = email.message_from_bytes(envelope.content, policy=email.policy.default)
    parts = {}
    for part in message.walk():
        if not part.is_multipart():
            parts[part.get_content_type()] = part.get_content()
    return {"at": time.time(), "action": action, "from": envelope.mail_from, "to": envelope.rcpt_tos,
            "tls": session.ssl is not None, "authenticated": session.authenticated,
            "headers": {name: str(value) for name, value in message.items()}, "parts": parts,
            "data": envelope.content.decode("utf-8", "replace")}


class Handler:
    def __init__(self, script, log):
        self.script = script
        self.log = log

    def write(self, record):
        line = json.dumps(record)
        print(line, flush=True)
        if self.log and "action" in record:
            self.log.write(line + "\n")
            self.log.flush()

    def take(self):
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    async def handle_MAIL(self, server, session, envelope, address, options):
        if self.script[0].startswith("mail:"):
            return self.refuse()
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.script[0].startswith("rcpt:"):
            return self.refuse()
        envelope.rcpt_tos.append(address)
        return "250 OK"

    def refuse(self):
        action = self.take()
        self.write({"at": time.time(), "action": action})
        return f"{action.partition(':')[2]} as the script says"

    async def handle_DATA(self, server, session, envelope):
        action = self.take()
        self.write(describe(envelope, action, session))
        if action == "stall":
            await asyncio.sleep(STALL_S)
        if action in ("stall", "cut"):
            server.transport.abort()
            return None
        return "250 taken" if action == "accept" else f"{action[5:]} as the script says"


def tls_of(args):
    if not args.certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(args.certificate, args.key)
    return context


async def serve(args):
    handler = Handler(args.script, open(args.log, "a", encoding="utf-8") if args.log else None)
    context = tls_of(args)
    options = {"hostname": "receiver.test", "data_size_limit": MAIL_BYTES_MAX}
    if context and not args.implicit:
        options.update(tls_context=context, require_starttls=args.require_starttls)
    if args.user:
        with open(args.password_file, encoding="utf-8") as file:
            password = file.read().rstrip("\r\n").encode()

        def check(server, session, envelope, mechanism, data):
            good = data.login == args.user.encode() and data.password == password
            return AuthResult(success=good, handled=False)

        options.update(authenticator=check, auth_required=True, auth_require_tls=not args.implicit)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(handler, **options), "127.0.0.1", args.port,
                                      ssl=context if args.implicit else None)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if args.commands:
        def command():
            line = sys.stdin.readline()
            if not line:
                loop.remove_reader(sys.stdin)
                return
            try:
                handler.script = parse_script(line)
                print(json.dumps({"script": handler.script}), flush=True)
            except argparse.ArgumentTypeError as error:
                print(json.dumps({"error": str(error)}), flush=True)
        loop.add_reader(sys.stdin, command)
    print(f"mail is received on smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await stop.wait()
    server.close()


def main():
    parser = argparse.ArgumentParser(description="Receives mails and prints them.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--log", help="JSON lines, one per mail, are appended here")
    parser.add_argument("--script", type=parse_script, default=["accept"])
    parser.add_argument("--commands", action="store_true", help="read scripts from standard input")
    parser.add_argument("--certificate", help="PEM; offers STARTTLS")
    parser.add_argument("--key", help="PEM of its key")
    parser.add_argument("--require-starttls", action="store_true")
    parser.add_argument("--implicit", action="store_true", help="TLS from the first byte")
    parser.add_argument("--user", help="AUTH is required, as this user")
    parser.add_argument("--password-file")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()

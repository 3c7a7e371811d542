#include "common/codec/starttls.h"

#include "common/base/check.h"
#include "common/base/strings.h"

#include <algorithm>

namespace tocsin::starttls {

namespace {

/// Length 8 and the request's code 80877103.
constexpr std::string_view kPostgresRequest{"\x00\x00\x00\x08\x04\xd2\x16\x2f", 8};

std::string_view first_word(std::string_view line) { return line.substr(0, line.find(' ')); }

std::string_view after_word(std::string_view line) {
  const std::size_t blank = line.find(' ');
  return blank == std::string_view::npos ? std::string_view{} : line.substr(blank + 1);
}

/// Three digits and then a blank, a '-' or the end; 0 otherwise.
int smtp_code(std::string_view line) {
  const auto digit = [&](std::size_t i) { return line[i] >= '0' && line[i] <= '9'; };
  if (line.size() < 3 || !digit(0) || !digit(1) || !digit(2)) return 0;
  if (line.size() > 3 && line[3] != ' ' && line[3] != '-') return 0;
  return (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
}

}  // namespace

Dialog::Dialog(StartTls protocol, std::string client_name)
    : protocol_(protocol),
      client_name_(std::move(client_name)) {
  CHECK(protocol_ != StartTls::kNone);
  if (protocol_ == StartTls::kPostgres) ask(Step::kAnswer, kPostgresRequest);
}

std::string Dialog::take_output() { return std::exchange(output_, {}); }

State Dialog::feed(std::string_view bytes) {
  CHECK(state_ == State::kTalking);
  bytes_ += bytes.size();
  while (!bytes.empty() && state_ == State::kTalking) {
    if (protocol_ == StartTls::kPostgres) {
      take_postgres(bytes.front());
      bytes.remove_prefix(1);
      continue;
    }
    const std::size_t end = bytes.find('\n');
    line_ += bytes.substr(0, end);
    if (line_.size() > kLineMax) {
      fail(Reason::kStarttlsProtocol, "a line is too long", line_);
      break;
    }
    if (end == std::string_view::npos) {
      bytes = {};
      break;
    }
    bytes.remove_prefix(end + 1);
    if (line_.ends_with('\r')) line_.pop_back();
    take_line(std::exchange(line_, {}));
  }
  if (state_ == State::kReady && !bytes.empty()) {
    fail(Reason::kStarttlsInjected, "before TLS came", bytes);
  } else if (state_ == State::kTalking && bytes_ > kBytesMax) {
    fail(Reason::kStarttlsProtocol, "it says too much", {});
  }
  return state_;
}

void Dialog::take_line(std::string_view line) {
  if (greeting_.empty()) greeting_ = line;
  switch (protocol_) {
    case StartTls::kSmtp:
      return take_smtp(line);
    case StartTls::kImap:
      return take_imap(line);
    case StartTls::kPop3:
      return take_pop3(line);
    case StartTls::kNone:
    case StartTls::kPostgres:
      break;
  }
  CHECK(false && "these have no lines");
}

/// RFC 5321 section 4.2.1: all lines of a reply have its code; the last has no '-' behind it.
void Dialog::take_smtp(std::string_view line) {
  const int code = smtp_code(line);
  if (code == 0 || (reply_code_ != 0 && code != reply_code_)) {
    return fail(Reason::kStarttlsProtocol, "expected a reply of SMTP", line);
  }
  const std::string_view text = line.size() > 4 ? line.substr(4) : std::string_view{};
  if (step_ == Step::kCapabilities && reply_code_ != 0) offer(first_word(text), "STARTTLS");
  const bool last = line.size() < 4 || line[3] != '-';
  reply_code_ = last ? 0 : code;
  if (!last) return;
  switch (step_) {
    case Step::kGreeting:
      if (code != 220) return fail(Reason::kStarttlsGreeting, "expected 220", line);
      return ask(Step::kCapabilities, fmt::format("EHLO {}\r\n", client_name_));
    case Step::kCapabilities:
      if (code != 250) return fail(Reason::kStarttlsRefused, "EHLO: expected 250", line);
      if (!offered_) return fail(Reason::kStarttlsNotOffered, "EHLO lists no STARTTLS", {});
      return ask(Step::kAnswer, "STARTTLS\r\n");
    case Step::kAnswer:
      if (code != 220) return fail(Reason::kStarttlsRefused, "STARTTLS: expected 220", line);
      state_ = State::kReady;
  }
}

void Dialog::take_imap(std::string_view line) {
  const std::string_view tag = first_word(line);
  const std::string_view rest = after_word(line);
  const std::string_view word = first_word(rest);
  if (step_ == Step::kGreeting) {
    if (tag == "*" && iequals(word, "BYE")) {
      return fail(Reason::kStarttlsGreeting, "expected OK", line);
    }
    if (tag == "*" && iequals(word, "PREAUTH")) {
      return fail(Reason::kStarttlsNotOffered, "it is already authenticated", line);
    }
    if (tag != "*" || !iequals(word, "OK")) {
      return fail(Reason::kStarttlsProtocol, "expected a greeting of IMAP", line);
    }
    return ask(Step::kCapabilities, "t1 CAPABILITY\r\n");
  }
  if (tag == "*") {
    if (iequals(word, "BYE")) return fail(Reason::kStarttlsRefused, "it says goodbye", line);
    if (!iequals(word, "CAPABILITY")) return;
    for (const std::string_view name : split(after_word(rest), ' ')) offer(name, "STARTTLS");
    return;
  }
  const bool first = step_ == Step::kCapabilities;
  if (tag != (first ? "t1" : "t2")) {
    return fail(Reason::kStarttlsProtocol, "expected a reply of IMAP", line);
  }
  if (!iequals(word, "OK")) {
    return fail(Reason::kStarttlsRefused,
                first ? "CAPABILITY: expected OK" : "STARTTLS: expected OK", line);
  }
  if (!first) {
    state_ = State::kReady;
    return;
  }
  if (!offered_) return fail(Reason::kStarttlsNotOffered, "CAPABILITY lists no STARTTLS", {});
  ask(Step::kAnswer, "t2 STARTTLS\r\n");
}

void Dialog::take_pop3(std::string_view line) {
  if (listing_) {
    if (line != ".") return offer(first_word(line), "STLS");
    listing_ = false;
    if (!offered_) return fail(Reason::kStarttlsNotOffered, "CAPA lists no STLS", {});
    return ask(Step::kAnswer, "STLS\r\n");
  }
  const bool ok = first_word(line) == "+OK";
  if (!ok && first_word(line) != "-ERR") {
    return fail(Reason::kStarttlsProtocol, "expected +OK or -ERR", line);
  }
  switch (step_) {
    case Step::kGreeting:
      if (!ok) return fail(Reason::kStarttlsGreeting, "expected +OK", line);
      return ask(Step::kCapabilities, "CAPA\r\n");
    case Step::kCapabilities:
      if (!ok) return ask(Step::kAnswer, "STLS\r\n");  // Older than RFC 2449: STLS tells.
      listing_ = true;
      return;
    case Step::kAnswer:
      if (!ok) return fail(Reason::kStarttlsRefused, "STLS: expected +OK", line);
      state_ = State::kReady;
  }
}

void Dialog::take_postgres(char answer) {
  if (answer == 'S') {
    state_ = State::kReady;
  } else if (answer == 'N') {
    fail(Reason::kStarttlsNotOffered, "it has TLS switched off", {});
  } else if (answer == 'E') {
    fail(Reason::kStarttlsRefused, "it answers with an error", {});
  } else {
    fail(Reason::kStarttlsProtocol, "expected S or N", {&answer, 1});
  }
}

void Dialog::offer(std::string_view capability, std::string_view wanted) {
  offered_ = offered_ || iequals(capability, wanted);
}

void Dialog::ask(Step next, std::string_view command) {
  step_ = next;
  output_ += command;
}

void Dialog::fail(Reason reason, std::string_view what, std::string_view line) {
  state_ = State::kFailed;
  failure_ = {reason, line.empty() ? std::string{what}
                                   : fmt::format("{}: got \"{}\"", what, printable(line, 120))};
}

std::string_view Dialog::awaited() const {
  if (protocol_ == StartTls::kPostgres) return "its answer to SSLRequest";
  switch (step_) {
    case Step::kGreeting:
      return "its greeting";
    case Step::kCapabilities:
      return protocol_ == StartTls::kSmtp   ? "its answer to EHLO"
             : protocol_ == StartTls::kImap ? "its answer to CAPABILITY"
                                            : "its answer to CAPA";
    case Step::kAnswer:
      return protocol_ == StartTls::kPop3 ? "its answer to STLS" : "its answer to STARTTLS";
  }
  return "its answer";
}

}  // namespace tocsin::starttls

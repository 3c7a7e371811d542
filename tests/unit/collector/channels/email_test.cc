// The mail as text, and its way to a real receiver: tests/support/smtp_receiver.py by aiosmtpd.

#include "collector/channels/email.h"

#include "collector/channels/email_body.h"
#include "common/base/strings.h"
#include "common/codec/json.h"
#include "tests/support/loopback_client.h"
#include "tests/support/test_certificate.h"
#include "tests/unit/collector/channels/sample.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <sys/wait.h>
#include <vector>

namespace tocsin::collector {
namespace {

using test::turn_until;
using Kind = SendResult::Kind;

OutboxRow mail_row() {
  OutboxRow row = sample_row();
  row.channel = "ops-mail";
  row.destination = {};
  row.destination.key = "ops-mail";
  row.destination.type = ChannelType::kEmail;
  row.destination.to = "ops@example.com";
  return row;
}

const EmailEnvelope kEnvelope{.from = "tocsin@example.org",
                              .ack_url = "https://tocsin.example.org/ack/abc"};

std::string unfold_breaks(std::string text) {
  for (std::size_t at = text.find("\r\n"); at != std::string::npos; at = text.find("\r\n", at)) {
    text.replace(at, 2, "\n");
  }
  return text;
}

/// The quoted-printable text of the part of that type, decoded.
std::string part(const std::string& mail, const std::string& type) {
  const std::size_t head = mail.find("Content-Type: " + type);
  const std::size_t begin = mail.find("\r\n\r\n", head) + 4;
  const std::string coded = mail.substr(begin, mail.find("\r\n--tocsin=_", begin) - begin);
  std::string out;
  for (std::size_t i = 0; i < coded.size(); ++i) {
    if (coded[i] != '=') {
      out += coded[i];
    } else if (coded[i + 1] == '\r') {
      i += 2;
    } else {
      out += static_cast<char>(std::stoi(coded.substr(i + 1, 2), nullptr, 16));
      i += 2;
    }
  }
  return unfold_breaks(out);
}

std::string header_block(const std::string& mail) { return mail.substr(0, mail.find("\r\n\r\n")); }

std::string block_after(const std::string& heading) {
  std::ifstream file{"docs/email.md"};
  const std::string doc{std::istreambuf_iterator<char>{file}, {}};
  const std::size_t at = doc.find(heading);
  const std::size_t begin = doc.find('\n', doc.find("```", at)) + 1;
  return doc.substr(begin, doc.find("```", begin) - begin);
}

/// What holds of every mail, whatever it says.
void expect_well_formed(const std::string& mail) {
  EXPECT_LE(mail.size(), kEmailBytesMax);
  std::size_t line = 0;
  for (std::size_t i = 0; i < mail.size(); ++i) {
    const char c = mail[i];
    if (c == '\r') {
      ASSERT_EQ(mail.at(i + 1), '\n');
      ++i;
      line = 0;
      continue;
    }
    ASSERT_NE(c, '\n');
    ASSERT_GE(c, 0x20) << i;
    ASSERT_LT(++line, 79U) << mail.substr(i - 78, 78);
  }
}

TEST(EmailBody, IsTheExampleOfTheDocumentation) {
  const std::string mail = email_message(mail_row(), kEnvelope);
  expect_well_formed(mail);
  EXPECT_EQ(unfold_breaks(header_block(mail)) + "\n\n" + part(mail, "text/plain"),
            block_after("## What a mail looks like"));
}

TEST(EmailBody, TheTextStaysWithinItsColumns) {
  OutboxRow row = mail_row();
  row.content.because =
      std::string(50, 'w') + " " + std::string(200, 'x') + " und größer als es war";
  const std::string text = part(email_message(row, kEnvelope), "text/plain");
  for (const std::string_view line : split(text, '\n')) {
    EXPECT_LE(std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xC0) != 0x80; }),
              static_cast<std::ptrdiff_t>(kEmailColumns))
        << line;
  }
}

TEST(EmailBody, IsTheSameOnEveryAttemptAndThreadsByIncident) {
  OutboxRow row = mail_row();
  EXPECT_EQ(email_message(row, kEnvelope), email_message(row, kEnvelope));
  OutboxRow resolve = row;
  resolve.id = numbered_id<NotificationTag>(2);
  resolve.kind = NotificationKind::kResolve;
  resolve.content.resolved_at = kThree + 60s;
  const std::string mail = email_message(resolve, kEnvelope);
  const std::string root = fmt::format("<incident-{}@example.org>", row.incident.str());
  for (const std::string& each : {email_message(row, kEnvelope), mail}) {
    EXPECT_NE(each.find("In-Reply-To: " + root), std::string::npos);
    EXPECT_NE(each.find("References: " + root), std::string::npos);
  }
  EXPECT_NE(mail.find("Message-ID: <" + resolve.id.str() + "@example.org>"), std::string::npos);
  EXPECT_EQ(email_subject(resolve), "[resolved] INC-42 Shop checkout is down");
  const std::string text = part(mail, "text/plain");
  EXPECT_NE(text.find("Resolved  2026-11-21 03:01:00 UTC"), std::string::npos) << text;
  EXPECT_EQ(text.find(kEnvelope.ack_url), std::string::npos) << "nothing to acknowledge";
}

TEST(EmailBody, SaysWhatKindOfTroubleItIs) {
  OutboxRow row = mail_row();
  row.content.incident_kind = IncidentKind::kImpaired;
  EXPECT_TRUE(email_subject(row).starts_with("[impaired] INC-42 "));
  row = mail_row();
  for (Vote& v : row.content.votes) v.outcome = Outcome::kDegraded;
  EXPECT_TRUE(email_subject(row).starts_with("[degraded] INC-42 "));
  row.kind = NotificationKind::kUpdate;
  EXPECT_EQ(email_subject(row), "[update] INC-42 Shop checkout is down");
  EXPECT_NE(email_message(row, kEnvelope).find("In-Reply-To: <incident-"), std::string::npos);
  EXPECT_EQ(email_message(row, kEnvelope).find("/ack/"), std::string::npos);
  row.kind = NotificationKind::kTest;
  EXPECT_EQ(email_subject(row), "[test] Shop checkout is down");
  EXPECT_EQ(email_message(row, kEnvelope).find("In-Reply-To"), std::string::npos);
}

TEST(EmailBody, HostileTextStaysTextInItsPlace) {
  const std::string long_text(10'000, 'L');
  const std::vector<std::string> names = {
      "x\r\nBcc: victim@example.net\r\n\r\nbody",
      "x\nSubject: other",
      std::string("nul\0here", 8),
      "\xe2\x80\xae evil \xe2\x81\xa6",
      "<script>alert(1)</script>\"'><img src=http://t.example/p.png>",
      "\xff\xfe\xc3",
      "=?UTF-8?B?QmNjOiB4?=",
      "\x1b[31mred",
      "ünïcödé 漢字 " + long_text,
      long_text,
      ".\n.\n",
      "--tocsin=_" + mail_row().id.str() + "--"};
  const std::string clean = header_block(email_message(mail_row(), kEnvelope));
  const auto header_lines = [](const std::string& block) {
    std::vector<std::string> out;
    for (std::string_view line : split(block, '\n')) {
      if (line.front() != ' ') out.emplace_back(line.substr(0, line.find(':')));
    }
    return out;
  };
  for (const std::string& name : names) {
    OutboxRow row = mail_row();
    row.channel = name;
    NotificationContent& c = row.content;
    c.title = c.because = c.service = c.monitor_name = c.target = c.region = c.step_because = name;
    for (Vote& v : c.votes) v.region = v.detail = name;
    for (CheckResult& r : c.evidence) {
      for (Attempt& a : r.attempts) a.remote = a.excerpt = a.finding.detail = name;
    }
    const std::string mail = email_message(row, kEnvelope);
    SCOPED_TRACE(printable(name, 60));
    expect_well_formed(mail);
    EXPECT_EQ(header_lines(unfold_breaks(header_block(mail))), header_lines(unfold_breaks(clean)));
    const std::string boundary = "\r\n--tocsin=_";
    std::size_t parts = 0;
    for (std::size_t at = mail.find(boundary); at != std::string::npos;
         at = mail.find(boundary, at + 1)) {
      ++parts;
    }
    EXPECT_EQ(parts, 3U);
    const std::string text = part(mail, "text/plain");
    const std::string html = part(mail, "text/html");
    for (const std::string& shown : {text, html}) {
      EXPECT_TRUE(is_valid_utf8(shown));
      EXPECT_EQ(shown.find("\xe2\x80\xae"), std::string::npos);
      EXPECT_EQ(shown.find('\x1b'), std::string::npos);
      EXPECT_EQ(shown.find('\0'), std::string::npos);
    }
    EXPECT_EQ(html.find("<script"), std::string::npos);
    EXPECT_EQ(html.find("<img"), std::string::npos);
    EXPECT_EQ(html.find("src="), html.find("src=http://t.example/p.png&gt;"));
  }
}

TEST(EmailBody, AFullRowStaysBelowTheBound) {
  OutboxRow row = mail_row();
  NotificationContent& c = row.content;
  // Three bytes each, nine in quoted-printable: the worst that printable text can grow.
  std::string wide;
  for (int i = 0; i < 4000; ++i) wide += "漢";
  c.title = c.because = c.service = c.target = c.region = c.step_because = wide;
  c.votes.resize(64, c.votes[0]);
  for (Vote& v : c.votes) v.region = v.detail = wide;
  c.evidence.resize(64, c.evidence[0]);
  for (CheckResult& r : c.evidence) {
    r.attempts.resize(CheckResult::kMaxAttempts, r.attempts[0]);
    for (Attempt& a : r.attempts) a.remote = wide;
  }
  EmailEnvelope envelope = kEnvelope;
  envelope.ack_url += std::string(1500, '&');
  const std::string mail = email_message(row, envelope);
  expect_well_formed(mail);
  EXPECT_NE(part(mail, "text/plain").find("and 44 more"), std::string::npos);
}

TEST(EmailDigest, NamesEveryMessageAndLinksEachThatAsks) {
  std::vector<OutboxRow> rows;
  for (std::uint8_t n = 1; n <= 8; ++n) {
    OutboxRow row = mail_row();
    row.id = numbered_id<NotificationTag>(n);
    row.incident = numbered_id<IncidentTag>(n);
    row.content.incident_number = n;
    row.content.title = fmt::format("Monitor {} is down", n);
    rows.push_back(row);
  }
  rows[0].kind = NotificationKind::kResolve;
  rows[0].content.title = "Resolved: Monitor 1 is down";
  rows[0].content.resolved_at = kThree + 60s;
  rows[1].kind = NotificationKind::kUpdate;
  rows[2].content.incident_kind = IncidentKind::kImpaired;
  std::vector<EmailDigestEntry> entries;
  for (const OutboxRow& row : rows) {
    entries.push_back({row, fmt::format("https://t.example/ack/{}", row.content.incident_number)});
  }
  EXPECT_EQ(email_digest_subject(entries),
            "[digest] 8 messages: 1 impaired, 5 down, 1 update, 1 resolved");
  const std::string mail = email_digest(entries, "0123abcd", "tocsin@example.org");
  expect_well_formed(mail);
  EXPECT_EQ(mail, email_digest(entries, "0123abcd", "tocsin@example.org"));
  const std::string head = header_block(mail);
  EXPECT_NE(head.find("Message-ID: <digest-0123abcd@example.org>"), std::string::npos);
  EXPECT_NE(head.find("To: <ops@example.com>"), std::string::npos);
  for (const OutboxRow& row : rows) {
    EXPECT_NE(head.find("X-Tocsin-Incident: " + row.incident.str()), std::string::npos);
    EXPECT_NE(mail.find(fmt::format("INC-{} ", row.content.incident_number)), std::string::npos);
    const std::string link =
        fmt::format("acknowledge: https://t.example/ack/{}\r\n", row.content.incident_number);
    EXPECT_EQ(mail.find(link) != std::string::npos, row.kind == NotificationKind::kTrigger) << link;
  }
  EXPECT_LT(mail.find("INC-8 "), mail.find("INC-1 ")) << "what needs somebody comes first";
}

TEST(EmailDigest, AFullOneStaysBelowTheBoundAndHostileTextInItsPlace) {
  std::string wide;
  for (int i = 0; i < 400; ++i) wide += "漢";
  for (const std::string& text : {wide, std::string(4000, '='), std::string("a\r\nBcc: x@y.z"),
                                  std::string("\xff\xe2\x80\xae<script>")}) {
    std::vector<OutboxRow> rows(kEmailDigestMax, mail_row());
    std::vector<EmailDigestEntry> entries;
    for (OutboxRow& row : rows) {
      row.channel = row.content.title = row.content.because = text;
      row.content.resolved_at = kThree;
      entries.push_back({row, "https://t.example/" + std::string(300, '=')});
    }
    const std::string mail = email_digest(entries, "0123abcd", "tocsin@example.org");
    expect_well_formed(mail);
    EXPECT_EQ(header_block(mail).find("Bcc"), std::string::npos);
  }
}

TEST(EmailBody, OnlyAWebLinkIsALink) {
  EmailEnvelope envelope = kEnvelope;
  envelope.ack_url = "javascript:alert(1)";
  const std::string mail = email_message(mail_row(), envelope);
  EXPECT_EQ(part(mail, "text/html").find("javascript"), std::string::npos);
  EXPECT_EQ(part(mail, "text/html").find("href"), std::string::npos);
  envelope.ack_url = "https://t.example/\"onclick=\"x";
  EXPECT_NE(part(email_message(mail_row(), envelope), "text/html").find("/&quot;onclick"),
            std::string::npos);
}

/// A receiver as a child process, by the Python that Debian's aiosmtpd belongs to; ended and
/// collected with the object.
class Receiver {
 public:
  Receiver(const std::filesystem::path& dir, std::vector<std::string> more)
      : log_(dir / "mails.jsonl") {
    std::vector<std::string> words{"/usr/bin/python3", "-B", "tests/support/smtp_receiver.py",
                                   "--log", log_};
    words.insert(words.end(), more.begin(), more.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    std::array<int, 2> pipe{};
    EXPECT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, pipe[1], 1);
    EXPECT_EQ(::posix_spawn(&pid_, words[0].c_str(), &actions, nullptr, argv.data(), environ), 0);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(pipe[1]);
    out_ = pipe[0];
    std::string line;
    for (char c = 0; ::read(out_, &c, 1) == 1 && c != '\n';) line += c;
    const std::size_t colon = line.rfind(':');
    EXPECT_NE(colon, std::string::npos) << "the receiver did not start: " << line;
    if (colon != std::string::npos) {
      port_ = static_cast<std::uint16_t>(std::stoi(line.substr(colon + 1)));
    }
  }

  ~Receiver() {
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
    ::close(out_);
  }

  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;

  std::uint16_t port() const { return port_; }

  std::vector<codec::Node> mails() const {
    std::vector<codec::Node> out;
    std::ifstream file{log_};
    for (std::string line; std::getline(file, line);) {
      if (file.eof()) break;  // Without its end it is still being written.
      out.push_back(codec::parse_json(line).value());
    }
    return out;
  }

 private:
  std::filesystem::path log_;
  pid_t pid_ = -1;
  int out_ = -1;
  std::uint16_t port_ = 0;
};

class EmailChannelTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "tocsin-mail-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir = name;
    std::ofstream{dir / "password"} << "correct horse\n";
    options.hello = "collector.test";
    options.host = "localhost";
    options.tls = io::SmtpTls::kOff;
    options.egress = *EgressPolicy::parse("private", {"127.0.0.0/8", "::1"}, {});
  }

  void TearDown() override {
    channel.reset();
    client.reset();
    receiver.reset();
    std::filesystem::remove_all(dir);
  }

  void receive(std::vector<std::string> words) {
    receiver = std::make_unique<Receiver>(dir, std::move(words));
    options.port = receiver->port();
  }

  /// Words for a receiver with TLS, whose authority the client trusts if `known`.
  std::vector<std::string> with_tls(bool known = true) {
    const test::Certificate certificate = test::make_certificate();
    std::ofstream{dir / "cert.pem"} << certificate.pem;
    std::ofstream{dir / "key.pem"} << certificate.key_pem;
    std::ofstream{dir / "ca.pem"}
        << (known ? certificate : test::make_certificate({.root_name = "Other"})).ca_pem;
    options.ca_file = dir / "ca.pem";
    options.tls = io::SmtpTls::kRequired;
    return {"--certificate", dir / "cert.pem", "--key", dir / "key.pem"};
  }

  SendResult send(Duration deadline = 5s) {
    auto opened = io::SmtpClient::open(loop, options);
    EXPECT_TRUE(opened);
    client = *std::move(opened);
    channel = std::make_unique<EmailChannel>(loop, client.get(),
                                             EmailChannel::Options{.from = "tocsin@example.org",
                                                                   .username = username,
                                                                   .password_file = "password",
                                                                   .secrets_dir = dir});
    std::optional<SendResult> got;
    const OutboxRow row = mail_row();
    const auto handle =
        channel->send(row, row.id.str(), deadline, [&](SendResult r) { got = std::move(r); });
    EXPECT_FALSE(got);
    EXPECT_TRUE(turn_until(loop, [&] { return got.has_value(); }));
    return got.value_or(SendResult{});
  }

  SystemClock clock;
  io::EventLoop loop{clock};
  std::filesystem::path dir;
  io::SmtpClient::Options options;
  std::string username;
  std::unique_ptr<Receiver> receiver;
  std::unique_ptr<io::SmtpClient> client;
  std::unique_ptr<EmailChannel> channel;
};

TEST_F(EmailChannelTest, AMailArrivesAsItWasRendered) {
  receive({});
  const SendResult result = send();
  EXPECT_EQ(result.kind, Kind::kAccepted) << result.detail;
  EXPECT_EQ(result.status, 250);
  EXPECT_EQ(result.detail, "SMTP 250 taken");
  const auto mails = receiver->mails();
  ASSERT_EQ(mails.size(), 1U);
  EXPECT_EQ(mails[0].find("from")->text, "tocsin@example.org");
  EXPECT_EQ(mails[0].find("to")->items.at(0).text, "ops@example.com");
  EXPECT_EQ(mails[0].find("data")->text,
            email_message(mail_row(), {.from = "tocsin@example.org", .ack_url = ""}));
  EXPECT_EQ(mails[0].find("headers")->find("Subject")->text, "[down] INC-42 Shop checkout is down");
}

TEST_F(EmailChannelTest, WhatIsRefusedForNowOrForGoodIsToldApart) {
  receive({"--script", "rcpt:451,451,rcpt:550,554,mail:550,accept"});
  const std::vector<std::pair<Kind, int>> expected = {
      {Kind::kTransient, 451}, {Kind::kTransient, 451}, {Kind::kPermanent, 550},
      {Kind::kPermanent, 554}, {Kind::kTransient, 550}, {Kind::kAccepted, 250}};
  for (const auto& [kind, code] : expected) {
    const SendResult result = send();
    EXPECT_EQ(result.kind, kind) << result.detail;
    EXPECT_EQ(result.status, code) << result.detail;
  }
}

TEST_F(EmailChannelTest, AMissingAnswerIsUncertainAndTheNextTryCarriesTheSameId) {
  receive({"--script", "cut,accept"});
  const SendResult result = send();
  EXPECT_EQ(result.kind, Kind::kTransient);
  EXPECT_NE(result.detail.find("handed over"), std::string::npos) << result.detail;
  EXPECT_EQ(send().kind, Kind::kAccepted);
  const auto mails = receiver->mails();
  ASSERT_EQ(mails.size(), 2U);
  EXPECT_EQ(mails[0].find("headers")->find("Message-ID")->text,
            mails[1].find("headers")->find("Message-ID")->text);
}

TEST_F(EmailChannelTest, AServerThatStallsDoesNotStopTheLoop) {
  receive({"--script", "stall"});
  // The stall ends only by the deadline. A loop that was held by it would see the timers only then.
  int turns = 0;
  io::TimerHandle tick;
  std::function<void()> again = [&] {
    if (receiver->mails().size() == 1) ++turns;
    tick = loop.after(1ms, again);
  };
  again();
  const SendResult result = send(1500ms);
  EXPECT_EQ(result.kind, Kind::kTransient);
  EXPECT_EQ(result.status, 0);
  EXPECT_NE(result.detail.find("handed over"), std::string::npos) << result.detail;
  EXPECT_GE(turns, 3);
}

TEST_F(EmailChannelTest, DestroyingTheHandleCancels) {
  receive({"--script", "stall"});
  auto opened = io::SmtpClient::open(loop, options);
  ASSERT_TRUE(opened);
  client = *std::move(opened);
  EmailChannel mail{loop, client.get(), {.from = "tocsin@example.org"}};
  bool called = false;
  const OutboxRow row = mail_row();
  auto handle = mail.send(row, row.id.str(), 20s, [&](SendResult) { called = true; });
  EXPECT_TRUE(turn_until(loop, [&] { return receiver->mails().size() == 1; }));
  handle.reset();
  client.reset();  // Waits for the thread.
  loop.run_once(1ms);
  EXPECT_FALSE(called);
}

TEST_F(EmailChannelTest, StartTlsIsRequiredAndVerified) {
  auto words = with_tls();
  words.push_back("--require-starttls");
  receive(words);
  EXPECT_EQ(send().kind, Kind::kAccepted);
  EXPECT_TRUE(receiver->mails().at(0).find("tls")->bool_value);
  options.tls = io::SmtpTls::kOff;
  EXPECT_EQ(send().kind, Kind::kTransient) << "530 to MAIL FROM is our configuration";
  options.tls = io::SmtpTls::kOpportunistic;
  EXPECT_EQ(send().kind, Kind::kAccepted);
}

TEST_F(EmailChannelTest, AnUnknownAuthorityOrNoTlsAtAllIsNotSpokenTo) {
  receive(with_tls(false));
  const SendResult result = send();
  EXPECT_EQ(result.kind, Kind::kTransient);
  EXPECT_NE(result.detail.find("certificate"), std::string::npos) << result.detail;
  receive({});
  EXPECT_EQ(send().kind, Kind::kTransient);
  EXPECT_TRUE(receiver->mails().empty());
}

TEST_F(EmailChannelTest, ImplicitTlsSpeaksTlsFromTheFirstByte) {
  auto words = with_tls();
  words.push_back("--implicit");
  receive(words);
  options.tls = io::SmtpTls::kImplicit;
  EXPECT_EQ(send().kind, Kind::kAccepted);
}

TEST_F(EmailChannelTest, LogsInWithThePasswordOfTheFileAsItIsNow) {
  auto words = with_tls();
  std::ofstream{dir / "theirs"} << "correct horse\n";
  words.insert(words.end(), {"--user", "pager", "--password-file", dir / "theirs"});
  receive(words);
  EXPECT_EQ(send().kind, Kind::kTransient) << "530: AUTH is required";
  username = "pager";
  EXPECT_EQ(send().kind, Kind::kAccepted);
  std::ofstream{dir / "password"} << "wrong\n";
  const SendResult wrong = send();
  EXPECT_EQ(wrong.kind, Kind::kTransient) << "a login that fails is ours";
  EXPECT_EQ(wrong.status, 535) << wrong.detail;
  EXPECT_EQ(wrong.detail.find("wrong\n"), std::string::npos);
  std::filesystem::remove(dir / "password");
  EXPECT_NE(send().detail.find("secret file"), std::string::npos);
  EXPECT_EQ(receiver->mails().size(), 1U);
}

TEST_F(EmailChannelTest, APasswordIsNeverSentInTheClear) {
  receive({});
  username = "pager";
  const SendResult result = send();
  EXPECT_EQ(result.kind, Kind::kTransient);
  EXPECT_EQ(result.detail, "a password is only sent over verified TLS");
  EXPECT_TRUE(receiver->mails().empty());
}

TEST_F(EmailChannelTest, ConnectsOnlyWhereTheEgressPolicyAllowsAndSaysWhenNobodyListens) {
  receive({});
  options.egress = *EgressPolicy::parse("private", {"192.0.2.0/24"}, {});
  const SendResult denied = send();
  EXPECT_EQ(denied.kind, Kind::kTransient);
  EXPECT_NE(denied.detail.find("allow list"), std::string::npos) << denied.detail;
  EXPECT_TRUE(receiver->mails().empty());
  options.egress = *EgressPolicy::parse("private", {"127.0.0.0/8", "::1"}, {});
  receiver.reset();
  const SendResult gone = send();
  EXPECT_EQ(gone.kind, Kind::kTransient);
  EXPECT_EQ(gone.status, 0);
}

TEST_F(EmailChannelTest, WithoutAnSmtpSectionTheMailIsPutOff) {
  EmailChannel none{loop, nullptr, {}};
  std::optional<SendResult> got;
  const OutboxRow row = mail_row();
  const auto handle = none.send(row, row.id.str(), 5s, [&](SendResult r) { got = std::move(r); });
  EXPECT_TRUE(turn_until(loop, [&] { return got.has_value(); }));
  EXPECT_EQ(got->kind, Kind::kTransient);
  EXPECT_NE(got->detail.find("no smtp section"), std::string::npos);
}

TEST_F(EmailChannelTest, WhatIsNoMailNeverReachesAServer) {
  receive({});
  auto opened = io::SmtpClient::open(loop, options);
  ASSERT_TRUE(opened);
  client = *std::move(opened);
  const std::string good = "Subject: x\r\n\r\nhello\r\n";
  const std::vector<std::array<std::string, 3>> bad = {
      {"a@b\r\nRCPT TO:<x@y>", "c@d", good},
      {"a@b", "c@d>\r\nDATA", good},
      {"a@b", "c@d", "Subject: x\n\r\n"},
      {"a@b", "c@d", "Subject: x\r\r\n"},
      {"a@b", "c@d", std::string("x\0\r\n", 4)},
      {"a@b", "c@d", std::string(999, 'x') + "\r\n"},
      {"a@b", "c@d", "no line end"},
      {"a@b", "c@d", ""}};
  for (const auto& [from, to, data] : bad) {
    std::optional<io::SmtpAnswer> got;
    const auto handle = client->start({.from = from, .to = to, .data = data},
                                      [&](io::SmtpAnswer a) { got = std::move(a); });
    EXPECT_TRUE(turn_until(loop, [&] { return got.has_value(); }));
    EXPECT_EQ(got->kind, io::SmtpAnswer::Kind::kPermanent) << data;
  }
  EXPECT_TRUE(receiver->mails().empty());
}

TEST_F(EmailChannelTest, MoreThanTheThreadsWaitForTheirTurnAndAllArrive) {
  receive({});
  auto opened = io::SmtpClient::open(loop, options);
  ASSERT_TRUE(opened);
  client = *std::move(opened);
  std::size_t accepted = 0;
  std::vector<std::unique_ptr<io::SmtpSendHandle>> handles;
  constexpr std::size_t kMails = io::SmtpClient::kSendsMax * 3;
  for (std::size_t i = 0; i < kMails; ++i) {
    handles.push_back(client->start({.from = "a@b", .to = "c@d", .data = ".\r\n..\r\nend\r\n"},
                                    [&](io::SmtpAnswer a) {
                                      if (a.kind == io::SmtpAnswer::Kind::kAccepted) ++accepted;
                                    }));
  }
  EXPECT_TRUE(turn_until(loop, [&] { return accepted == kMails; }));
  const auto mails = receiver->mails();
  ASSERT_EQ(mails.size(), kMails);
  EXPECT_EQ(mails[0].find("data")->text, ".\r\n..\r\nend\r\n") << "dots are stuffed and unstuffed";
}

}  // namespace
}  // namespace tocsin::collector

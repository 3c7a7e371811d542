#include "common/codec/starttls.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tocsin::starttls {
namespace {

/// Plays the server's lines in turn; what was said, or why not.
std::string play(StartTls protocol, const std::vector<std::string>& server) {
  Dialog dialog{protocol, "[192.0.2.1]"};
  std::string out = dialog.take_output();
  for (const std::string& bytes : server) {
    if (dialog.state() != State::kTalking) return out + "!more";
    dialog.feed(bytes);
    out += dialog.take_output();
  }
  switch (dialog.state()) {
    case State::kTalking:
      return out + "?" + std::string{dialog.awaited()};
    case State::kReady:
      return out + "TLS";
    case State::kFailed:
      break;
  }
  return fmt::format("{}: {}", to_string(dialog.failure().reason), dialog.failure().detail);
}

TEST(StartTls, SmtpSaysEhloAndStarttlsAfterWholeReplies) {
  EXPECT_EQ(
      play(StartTls::kSmtp, {"220-mx.example\r\n220 hello\r\n",
                             "250-mx.example\r\n250-SIZE 1\r\n250 starttls\r\n", "220 go\r\n"}),
      "EHLO [192.0.2.1]\r\nSTARTTLS\r\nTLS");
  EXPECT_EQ(play(StartTls::kSmtp, {"220 mx\r\n", "250-mx\r\n250-STARTTLS\r\n"}),
            "EHLO [192.0.2.1]\r\n?its answer to EHLO");
}

TEST(StartTls, SmtpNamesEveryWayItCanFail) {
  EXPECT_EQ(play(StartTls::kSmtp, {"554 go away\r\n"}),
            "starttls.greeting: expected 220: got \"554 go away\"");
  EXPECT_EQ(play(StartTls::kSmtp, {"SSH-2.0-OpenSSH\r\n"}),
            "starttls.protocol: expected a reply of SMTP: got \"SSH-2.0-OpenSSH\"");
  EXPECT_EQ(play(StartTls::kSmtp, {"220 mx\r\n", "502 no\r\n"}),
            "starttls.refused: EHLO: expected 250: got \"502 no\"");
  EXPECT_EQ(
      play(StartTls::kSmtp, {"220 mx\r\n", "250-STARTTLS\r\n250 SIZE\r\n"}),
      "starttls.not_offered: EHLO lists no STARTTLS");  // The first line is the server's name.
  EXPECT_EQ(play(StartTls::kSmtp, {"220 mx\r\n", "250-mx\r\n251 STARTTLS\r\n"}),
            "starttls.protocol: expected a reply of SMTP: got \"251 STARTTLS\"");
  EXPECT_EQ(play(StartTls::kSmtp, {"220 mx\r\n", "250-mx\r\n250 STARTTLS\r\n", "454 later\r\n"}),
            "starttls.refused: STARTTLS: expected 220: got \"454 later\"");
  EXPECT_EQ(play(StartTls::kSmtp,
                 {"220 mx\r\n", "250-mx\r\n250 STARTTLS\r\n", "220 go\r\n250 injected\r\n"}),
            "starttls.injected: before TLS came: got \"250 injected\\x0d\\x0a\"");
  EXPECT_EQ(play(StartTls::kSmtp, {std::string(9000, 'x')}).substr(0, 34),
            "starttls.protocol: a line is too l");
  std::string endless;
  for (int i = 0; i < 9000; ++i) endless += "220-mx 0\r\n";
  EXPECT_EQ(play(StartTls::kSmtp, {endless}), "starttls.protocol: it says too much");
}

TEST(StartTls, ImapAsksForCapabilitiesFirst) {
  EXPECT_EQ(
      play(StartTls::kImap,
           {"* OK hi\r\n", "* CAPABILITY IMAP4rev1 STARTTLS\r\nt1 OK done\r\n", "t2 OK go\r\n"}),
      "t1 CAPABILITY\r\nt2 STARTTLS\r\nTLS");
  EXPECT_EQ(play(StartTls::kImap, {"* OK hi\r\n", "* CAPABILITY IMAP4rev1\r\nt1 OK done\r\n"}),
            "starttls.not_offered: CAPABILITY lists no STARTTLS");
  EXPECT_EQ(play(StartTls::kImap, {"* BYE no\r\n"}),
            "starttls.greeting: expected OK: got \"* BYE no\"");
  EXPECT_EQ(play(StartTls::kImap, {"* PREAUTH hi\r\n"}),
            "starttls.not_offered: it is already authenticated: got \"* PREAUTH hi\"");
  EXPECT_EQ(play(StartTls::kImap, {"+OK pop\r\n"}),
            "starttls.protocol: expected a greeting of IMAP: got \"+OK pop\"");
  EXPECT_EQ(play(StartTls::kImap, {"* OK\r\n", "* CAPABILITY STARTTLS\r\nt1 OK\r\n", "t2 NO\r\n"}),
            "starttls.refused: STARTTLS: expected OK: got \"t2 NO\"");
}

TEST(StartTls, Pop3TriesStlsOnServersWithoutCapa) {
  EXPECT_EQ(play(StartTls::kPop3, {"+OK\r\n", "+OK\r\nTOP\r\nSTLS\r\n.\r\n", "+OK go\r\n"}),
            "CAPA\r\nSTLS\r\nTLS");
  EXPECT_EQ(play(StartTls::kPop3, {"+OK\r\n", "-ERR what\r\n", "+OK go\r\n"}),
            "CAPA\r\nSTLS\r\nTLS");
  EXPECT_EQ(play(StartTls::kPop3, {"+OK\r\n", "+OK\r\nTOP\r\n.\r\n"}),
            "starttls.not_offered: CAPA lists no STLS");
  EXPECT_EQ(play(StartTls::kPop3, {"-ERR busy\r\n"}),
            "starttls.greeting: expected +OK: got \"-ERR busy\"");
  EXPECT_EQ(play(StartTls::kPop3, {"220 smtp\r\n"}),
            "starttls.protocol: expected +OK or -ERR: got \"220 smtp\"");
}

TEST(StartTls, PostgresAnswersWithOneByte) {
  const std::string request{"\x00\x00\x00\x08\x04\xd2\x16\x2f", 8};
  EXPECT_EQ(play(StartTls::kPostgres, {"S"}), request + "TLS");
  EXPECT_EQ(play(StartTls::kPostgres, {}), request + "?its answer to SSLRequest");
  EXPECT_EQ(play(StartTls::kPostgres, {"N"}), "starttls.not_offered: it has TLS switched off");
  EXPECT_EQ(play(StartTls::kPostgres, {"ESFATAL"}), "starttls.refused: it answers with an error");
  EXPECT_EQ(play(StartTls::kPostgres, {"SR"}), "starttls.injected: before TLS came: got \"R\"");
  EXPECT_EQ(play(StartTls::kPostgres, {"H"}), "starttls.protocol: expected S or N: got \"H\"");
}

}  // namespace
}  // namespace tocsin::starttls

#pragma once
// Question answered here: what is said in the clear before TLS begins on a port for mail or
// PostgreSQL?
//
//   smtp      greeting -> EHLO -> STARTTLS -> TLS            RFC 5321, RFC 3207
//   imap      greeting -> CAPABILITY -> STARTTLS -> TLS      RFC 9051 section 6.2.1
//   pop3      greeting -> CAPA -> STLS -> TLS                RFC 2449, RFC 2595
//   postgres  SSLRequest -> one byte -> TLS                  PostgreSQL's protocol, 55.2.10
//
// The client's half without I/O: bytes in, bytes out, and the failure in words when the server
// refuses, does not offer it, or says something else. Bytes that follow the server's last answer
// before TLS are refused: nobody knows who wrote them (CVE-2011-0411, CVE-2021-23222).

#include "common/model/monitor_spec.h"
#include "common/model/observation.h"

#include <string>
#include <string_view>

namespace tocsin::starttls {

enum class State : std::uint8_t { kTalking, kReady, kFailed };

class Dialog {
 public:
  static constexpr std::size_t kLineMax = 8192;        ///< One line of the server.
  static constexpr std::size_t kBytesMax = 64 * 1024;  ///< Everything the server says.

  /// `protocol` is not kNone. `client_name` is a host name or an address literal: EHLO's argument.
  Dialog(StartTls protocol, std::string client_name);

  /// What is to be sent now; empty: it is the server's turn. Each byte is given once.
  std::string take_output();

  /// What came from the server. Not after kReady or kFailed.
  State feed(std::string_view bytes);

  State state() const { return state_; }

  /// After kFailed: a starttls.* reason; the detail does not say which server.
  const Failure& failure() const { return failure_; }

  /// What the server owes now, for "did not send ... in time": "its greeting".
  std::string_view awaited() const;

  /// The server's first line, without its end; empty for PostgreSQL.
  const std::string& greeting() const { return greeting_; }

 private:
  enum class Step : std::uint8_t { kGreeting, kCapabilities, kAnswer };

  void take_line(std::string_view line);
  void take_smtp(std::string_view line);
  void take_imap(std::string_view line);
  void take_pop3(std::string_view line);
  void take_postgres(char answer);
  void offer(std::string_view capability, std::string_view wanted);
  void ask(Step next, std::string_view command);
  void fail(Reason reason, std::string_view what, std::string_view line);

  StartTls protocol_;
  std::string client_name_;
  State state_ = State::kTalking;
  Step step_ = Step::kGreeting;
  std::string output_;
  std::string line_;  ///< Begun, not ended.
  std::size_t bytes_ = 0;
  std::string greeting_;
  int reply_code_ = 0;    ///< SMTP: of the reply under way; 0: between replies.
  bool listing_ = false;  ///< POP3: the lines of CAPA are coming.
  bool offered_ = false;
  Failure failure_;
};

}  // namespace tocsin::starttls

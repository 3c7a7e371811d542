#pragma once
// Question answered here: did that mail server take our message?
//
// One message to one recipient over a connection of its own, by libcurl. The answer says what it
// means for sending again:
//
//   250 after the message                       accepted
//   5xx to RCPT, DATA or the message            permanent
//   4xx anywhere                                transient
//   no connection, TLS or AUTH failed, 5xx to the greeting, EHLO or MAIL FROM, denied by the egress
//   policy                                      transient: what is wrong is ours
//   cut or timed out after the message was handed over and before its answer   uncertain
//
// Threads: libcurl 7.88 waits for the answer to a message and for that to QUIT inside its call, on
// the multi interface too: on the loop a server that stalls would stop everything else. So every
// send has a thread of its own for as long as it lasts, at most kSendsMax; further ones wait for
// their turn, within their deadline. The class itself belongs to the loop's thread.

#include "common/base/expected.h"
#include "common/base/time.h"
#include "common/io/event_loop.h"
#include "common/io/secret.h"
#include "common/model/egress.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace tocsin::io {

enum class SmtpTls : std::uint8_t {
  kOff,
  kOpportunistic,  ///< STARTTLS when offered, to whomever: against listeners only, unverified.
  kRequired,       ///< STARTTLS or nothing; the certificate is verified.
  kImplicit,       ///< TLS from the first byte; the certificate is verified.
};

struct SmtpMail {
  std::string from;  ///< Envelope addresses: is_mail_address.
  std::string to;
  std::string data;      ///< RFC 5322 with CRLF line ends.
  std::string username;  ///< Empty: no AUTH.
  Secret password;
  Duration deadline = std::chrono::seconds{20};  ///< From start to the answer.
};

struct SmtpAnswer {
  enum class Kind : std::uint8_t { kAccepted, kTransient, kPermanent, kUncertain };
  Kind kind = Kind::kTransient;
  int code = 0;      ///< The last reply's; 0 when none came.
  std::string text;  ///< The reply or what failed; printable, at most SmtpClient::kTextBytesMax.
};

/// A send under way; destroying it cancels: `done` will not run. What the server has it keeps.
class SmtpSendHandle {
 public:
  virtual ~SmtpSendHandle() = default;
};

/// One thread: the loop's. Outlives its handles; is not destroyed inside a `done`. Destroying it
/// ends what is under way, which may take a second.
class SmtpClient {
 public:
  using Done = std::function<void(SmtpAnswer)>;

  static constexpr std::size_t kSendsMax = 8;
  /// Sends that wait for their turn; one more is transient at once.
  static constexpr std::size_t kQueueMax = 256;
  static constexpr std::size_t kTextBytesMax = 256;
  static constexpr std::size_t kMailBytesMax = 128 * 1024;
  /// RFC 5321 section 4.5.3.1.6, without the line end.
  static constexpr std::size_t kLineBytesMax = 998;

  struct Options {
    EgressPolicy egress;
    std::string host;  ///< Name or address, IPv6 without brackets.
    std::uint16_t port = 587;
    SmtpTls tls = SmtpTls::kRequired;
    std::string ca_file;              ///< PEM instead of the system's roots when not empty.
    std::string hello = "localhost";  ///< How we name ourselves in EHLO.
    Duration connect_timeout = std::chrono::seconds{10};
  };

  /// kInvalid for a host that is none.
  static Expected<std::unique_ptr<SmtpClient>> open(EventLoop& loop, Options options);
  ~SmtpClient();
  SmtpClient(const SmtpClient&) = delete;
  SmtpClient& operator=(const SmtpClient&) = delete;

  /// `done` runs once, never inside this call, and may destroy the handle. A mail that is not one
  /// (addresses, line ends, lengths, NUL) is permanent; a password without verified TLS is not
  /// sent.
  [[nodiscard]] std::unique_ptr<SmtpSendHandle> start(SmtpMail mail, Done done);

 private:
  struct Impl;
  class Handle;
  explicit SmtpClient(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace tocsin::io

#pragma once
// Question answered here: how does a notification reach a mailbox, and what does the answer mean?
//
// The mail server's answer means what common/io/smtp_client.h says; uncertain is transient, and the
// second copy has the same Message-ID. Without an `smtp` section, or without its password file, a
// message is put off: what is wrong is ours.

#include "collector/core/ack_link.h"
#include "collector/ports/channel.h"
#include "common/io/event_loop.h"
#include "common/io/smtp_client.h"

#include <string>

namespace tocsin::collector {

/// The meaning of an answer for the outbox.
SendResult judge_mail_answer(const io::SmtpAnswer& answer);

/// One thread: `net`.
class EmailChannel final : public Channel {
 public:
  struct Options {
    std::string from;  ///< is_mail_address.
    std::string username;
    std::string password_file;  ///< Name below secrets_dir; read anew for every send.
    std::string secrets_dir;
    AckUrl ack_url;  ///< Empty: mails carry no link.
  };

  /// `loop` and `client` outlive the channel. Null: there is no `smtp` section.
  EmailChannel(io::EventLoop& loop, io::SmtpClient* client, Options options);

  std::unique_ptr<SendHandle> send(const OutboxRow& message, const std::string& key,
                                   Duration deadline, Done done) override;
  std::size_t digest_max() const override;
  std::unique_ptr<SendHandle> send_digest(const std::vector<const OutboxRow*>& messages,
                                          const std::string& key, Duration deadline,
                                          Done done) override;

 private:
  std::unique_ptr<SendHandle> post(const OutboxRow& first, std::string data, const std::string& key,
                                   Duration deadline, Done done);
  std::string link(const OutboxRow& row) const;

  io::EventLoop& loop_;
  io::SmtpClient* client_;
  Options options_;
};

}  // namespace tocsin::collector

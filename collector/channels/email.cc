#include "collector/channels/email.h"

#include "collector/channels/email_body.h"
#include "common/base/strings.h"
#include "common/io/log.h"
#include "common/io/secret_file.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

namespace tocsin::collector {

namespace {

struct MailSendHandle final : SendHandle {
  std::unique_ptr<io::SmtpSendHandle> mail;
  io::TimerHandle at_once;
};

}  // namespace

SendResult judge_mail_answer(const io::SmtpAnswer& answer) {
  SendResult out;
  out.status = answer.code;
  out.detail = answer.code == 0 ? answer.text : "SMTP " + answer.text;
  switch (answer.kind) {
    case io::SmtpAnswer::Kind::kAccepted:
      out.kind = SendResult::Kind::kAccepted;
      break;
    case io::SmtpAnswer::Kind::kPermanent:
      out.kind = SendResult::Kind::kPermanent;
      break;
    case io::SmtpAnswer::Kind::kTransient:
    case io::SmtpAnswer::Kind::kUncertain:
      out.kind = SendResult::Kind::kTransient;
      break;
  }
  return out;
}

EmailChannel::EmailChannel(io::EventLoop& loop, io::SmtpClient* client, Options options)
    : loop_(loop),
      client_(client),
      options_(std::move(options)) {}

std::string EmailChannel::link(const OutboxRow& row) const {
  return options_.ack_url ? options_.ack_url(row) : std::string{};
}

std::unique_ptr<SendHandle> EmailChannel::send(const OutboxRow& message, const std::string& key,
                                               Duration deadline, Done done) {
  return post(message, email_message(message, {.from = options_.from, .ack_url = link(message)}),
              key, deadline, std::move(done));
}

std::size_t EmailChannel::digest_max() const { return kEmailDigestMax; }

std::unique_ptr<SendHandle> EmailChannel::send_digest(const std::vector<const OutboxRow*>& messages,
                                                      const std::string& key, Duration deadline,
                                                      Done done) {
  std::vector<EmailDigestEntry> entries;
  for (const OutboxRow* row : messages) entries.push_back({*row, link(*row)});
  return post(*messages.front(), email_digest(entries, key, options_.from), key, deadline,
              std::move(done));
}

std::unique_ptr<SendHandle> EmailChannel::post(const OutboxRow& message, std::string data,
                                               const std::string& key, Duration deadline,
                                               Done done) {
  auto handle = std::make_unique<MailSendHandle>();
  const auto refuse = [&](std::string why) {
    log::warning(
        "a mail was not sent",
        {{"notification", key}, {"channel", printable(message.channel, 63)}, {"error", why}});
    handle->at_once = loop_.after(Duration{0}, [done, why = printable(why)] {
      done({SendResult::Kind::kTransient, 0, why, std::nullopt});
    });
  };
  if (client_ == nullptr) {
    refuse("collector.yaml has no smtp section, so e-mail cannot be sent");
    return handle;
  }
  io::SmtpMail mail;
  mail.from = options_.from;
  mail.to = message.destination.to;
  mail.data = std::move(data);
  mail.deadline = deadline;
  if (!options_.username.empty()) {
    Expected<std::string> password =
        io::read_secret_file(options_.secrets_dir, options_.password_file);
    if (!password) {
      refuse(password.error().text);
      return handle;
    }
    while (!password->empty() && (password->back() == '\n' || password->back() == '\r')) {
      password->pop_back();
    }
    if (password->empty() || password->find('\0') != std::string::npos) {
      refuse(fmt::format("secret file {}: expected a password", options_.password_file));
      return handle;
    }
    mail.username = options_.username;
    mail.password = io::Secret{*std::move(password)};
  }
  handle->mail = client_->start(
      std::move(mail),
      [done = std::move(done)](const io::SmtpAnswer& answer) { done(judge_mail_answer(answer)); });
  return handle;
}

}  // namespace tocsin::collector

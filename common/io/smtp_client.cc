#include "common/io/smtp_client.h"

#include "common/base/strings.h"
#include "common/io/curl_guard.h"
#include "common/io/fd.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <cstring>
#include <curl/curl.h>
#include <deque>
#include <map>
#include <optional>
#include <string_view>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <utility>

namespace tocsin::io {

namespace {

using Kind = SmtpAnswer::Kind;

SmtpAnswer answer(Kind kind, int code, std::string_view text) {
  return {kind, code, printable(text, SmtpClient::kTextBytesMax - 8)};
}

/// What a mail must be before it may reach a server, or what is wrong with it.
std::optional<std::string> mail_error(const SmtpMail& mail, SmtpTls tls) {
  if (!is_mail_address(mail.from)) return "the sender is not an e-mail address";
  if (!is_mail_address(mail.to)) return "the recipient is not an e-mail address";
  if (mail.data.empty() || mail.data.size() > SmtpClient::kMailBytesMax) {
    return fmt::format("expected a message of 1 to {} bytes", SmtpClient::kMailBytesMax);
  }
  std::size_t line = 0;
  for (std::size_t i = 0; i < mail.data.size(); ++i) {
    const char c = mail.data[i];
    if (c == '\r' && i + 1 < mail.data.size() && mail.data[i + 1] == '\n') {
      ++i;
      line = 0;
      continue;
    }
    if (c == '\r' || c == '\n' || c == '\0') return "the message has a bare CR, LF or NUL";
    if (++line > SmtpClient::kLineBytesMax) return "the message has a line that is too long";
  }
  if (line != 0) return "the message does not end with a line end";
  const bool verified = tls == SmtpTls::kRequired || tls == SmtpTls::kImplicit;
  if (!mail.username.empty() && !verified) return "a password is only sent over verified TLS";
  return std::nullopt;
}

/// The conversation of one send, as far as its meaning depends on it. Lives on the send's thread.
struct Talk {
  enum class Stage : std::uint8_t { kBefore, kAuth, kMailFrom, kRecipient, kData, kHandedOver };

  const SmtpClient::Options& options;
  const SmtpMail& mail;
  const std::atomic<bool>& cancelled;
  Stage stage = Stage::kBefore;
  int code = 0;  ///< Of the last complete reply.
  std::string reply;
  bool quitting = false;
  std::size_t sent = 0;
  int socket = -1;
  std::string remote;
  std::optional<Error> denied;

  void on_command(std::string_view line) {
    if (line.starts_with("MAIL FROM:")) {
      stage = Stage::kMailFrom;
    } else if (line.starts_with("RCPT TO:")) {
      stage = Stage::kRecipient;
    } else if (line.starts_with("DATA\r\n")) {
      stage = Stage::kData;
    } else if (line.starts_with("AUTH ")) {
      stage = Stage::kAuth;
    } else if (line.starts_with("QUIT\r\n")) {
      quitting = true;
      // Written already. libcurl would now wait for the reply; with nothing more to read it does
      // not.
      if (socket >= 0) ::shutdown(socket, SHUT_RD);
    }
  }

  void on_reply(std::string_view line) {
    // Only a last line ("250 text") is a reply; "250-text" goes on.
    if (quitting || line.size() < 4 || line[3] == '-') return;
    int value = 0;
    const auto [end, ec] = std::from_chars(line.data(), line.data() + 3, value);
    if (ec != std::errc{} || end != line.data() + 3) return;
    code = value;
    reply = line.substr(0, SmtpClient::kTextBytesMax);
    // The reply to DATA allows the message; only what comes after all of it has been read answers
    // it.
    if (stage == Stage::kHandedOver) answered = true;
  }

  bool answered = false;  ///< There was a reply after the message was handed over.
};

std::size_t on_read(char* out, std::size_t, std::size_t room, void* self) {
  Talk& t = *static_cast<Talk*>(self);
  const std::size_t n = std::min(room, t.mail.data.size() - t.sent);
  std::copy_n(t.mail.data.data() + t.sent, n, out);
  t.sent += n;
  // With the end known libcurl sends the final dot: from here on the server may have the message.
  if (n == 0) t.stage = Talk::Stage::kHandedOver;
  return n;
}

std::size_t on_write(char*, std::size_t, std::size_t n, void*) { return n; }

int on_debug(CURL*, curl_infotype type, char* data, std::size_t size, void* self) {
  Talk& t = *static_cast<Talk*>(self);
  // libcurl tells commands and replies as headers. What AUTH says is looked at by its verb only.
  if (type == CURLINFO_HEADER_OUT) t.on_command({data, size});
  if (type == CURLINFO_HEADER_IN) t.on_reply({data, size});
  return 0;
}

int on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<Talk*>(self)->cancelled.load() ? 1 : 0;
}

curl_socket_t on_open(void* self, curlsocktype, curl_sockaddr* address) {
  Talk& t = *static_cast<Talk*>(self);
  auto fd = open_allowed_socket(t.options.egress, address->family, address->socktype,
                                address->protocol, address->addr, t.remote);
  if (!fd) {
    t.denied = fd.error();
    return CURL_SOCKET_BAD;
  }
  t.socket = *fd;
  return *fd;
}

int on_close(void* self, curl_socket_t fd) {
  Talk& t = *static_cast<Talk*>(self);
  if (t.socket == fd) t.socket = -1;
  Fd{fd}.reset();
  return 0;
}

SmtpAnswer judge(const Talk& t, CURLcode code, const char* error) {
  using Stage = Talk::Stage;
  const std::string_view reply = trim(t.reply);
  const std::string why = error[0] != '\0' ? error : curl_easy_strerror(code);
  if (t.answered || code == CURLE_OK) {
    if (t.code >= 200 && t.code < 300) return answer(Kind::kAccepted, t.code, reply);
    return answer(t.code >= 500 ? Kind::kPermanent : Kind::kTransient, t.code, reply);
  }
  if (t.stage == Stage::kHandedOver) {
    return answer(Kind::kUncertain, 0,
                  "the message was handed over, its answer is missing: " + why);
  }
  if (t.denied && t.stage == Stage::kBefore && t.code == 0) {
    return answer(Kind::kTransient, 0, t.denied->text);
  }
  if (t.code >= 400) {
    const bool about_mail = t.stage == Stage::kRecipient || t.stage == Stage::kData;
    return answer(t.code >= 500 && about_mail ? Kind::kPermanent : Kind::kTransient, t.code, reply);
  }
  return answer(Kind::kTransient, 0, why);
}

/// Blocks until it is over. On the send's own thread.
SmtpAnswer talk(const SmtpClient::Options& options, const SmtpMail& mail, Duration time_left,
                const std::atomic<bool>& cancelled) {
  Talk t{.options = options,
         .mail = mail,
         .cancelled = cancelled,
         .reply = {},
         .remote = {},
         .denied = {}};
  std::array<char, CURL_ERROR_SIZE> error{};
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> easy{curl_easy_init(),
                                                                 &curl_easy_cleanup};
  const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> to{
      curl_slist_append(nullptr, fmt::format("<{}>", mail.to).c_str()), &curl_slist_free_all};
  if (!easy || !to) return answer(Kind::kTransient, 0, "out of memory");
  bool ok = true;
  const auto set = [&](CURLoption option, auto value) {
    ok = ok && curl_easy_setopt(easy.get(), option, value) == CURLE_OK;
  };
  const bool v6 = options.host.find(':') != std::string::npos;
  const std::string url =
      fmt::format("{}://{}{}{}:{}/{}", options.tls == SmtpTls::kImplicit ? "smtps" : "smtp",
                  v6 ? "[" : "", options.host, v6 ? "]" : "", options.port, options.hello);
  set(CURLOPT_URL, url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "smtp,smtps");
  set(CURLOPT_PROXY, "");  // The egress policy is asked about the address: there is no proxy.
  set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_CONNECTTIMEOUT_MS, curl_milliseconds(std::min(options.connect_timeout, time_left)));
  set(CURLOPT_TIMEOUT_MS, curl_milliseconds(time_left));
  set(CURLOPT_FORBID_REUSE, 1L);
  const bool verified = options.tls == SmtpTls::kRequired || options.tls == SmtpTls::kImplicit;
  if (options.tls == SmtpTls::kRequired) set(CURLOPT_USE_SSL, static_cast<long>(CURLUSESSL_ALL));
  if (options.tls == SmtpTls::kOpportunistic) {
    set(CURLOPT_USE_SSL, static_cast<long>(CURLUSESSL_TRY));
  }
  set(CURLOPT_SSL_VERIFYPEER, verified ? 1L : 0L);
  set(CURLOPT_SSL_VERIFYHOST, verified ? 2L : 0L);
  if (!options.ca_file.empty()) {
    set(CURLOPT_CAINFO, options.ca_file.c_str());
    set(CURLOPT_CAPATH, static_cast<const char*>(nullptr));
  }
  if (!mail.username.empty()) {
    set(CURLOPT_USERNAME, mail.username.c_str());
    set(CURLOPT_PASSWORD, mail.password.reveal().c_str());
    set(CURLOPT_LOGIN_OPTIONS, "AUTH=PLAIN;AUTH=LOGIN");
  }
  set(CURLOPT_MAIL_FROM, fmt::format("<{}>", mail.from).c_str());
  set(CURLOPT_MAIL_RCPT, to.get());
  set(CURLOPT_UPLOAD, 1L);
  set(CURLOPT_READFUNCTION, &on_read);
  set(CURLOPT_READDATA, &t);
  set(CURLOPT_WRITEFUNCTION, &on_write);
  set(CURLOPT_ERRORBUFFER, error.data());
  set(CURLOPT_OPENSOCKETFUNCTION, &on_open);
  set(CURLOPT_OPENSOCKETDATA, &t);
  set(CURLOPT_CLOSESOCKETFUNCTION, &on_close);
  set(CURLOPT_CLOSESOCKETDATA, &t);
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, &on_progress);
  set(CURLOPT_XFERINFODATA, &t);
  set(CURLOPT_VERBOSE, 1L);  // For on_debug alone: nothing is printed.
  set(CURLOPT_DEBUGFUNCTION, &on_debug);
  set(CURLOPT_DEBUGDATA, &t);
  if (!ok) return answer(Kind::kTransient, 0, "libcurl refused an option");
  const CURLcode code = curl_easy_perform(easy.get());
  return judge(t, code, error.data());
}

}  // namespace

struct SmtpClient::Impl {
  struct Send {
    SmtpMail mail;
    Done done;
    MonoTime until;
    std::atomic<bool> cancelled = false;
    std::thread thread;
    SmtpAnswer refusal;
    TimerHandle at_once;  ///< For a refusal without any connection.
  };

  Impl(EventLoop& loop_, Options options_)
      : loop(loop_),
        options(std::move(options_)) {}

  ~Impl() {
    self.reset();
    for (auto& [id, send] : sends) send->cancelled = true;
    for (auto& [id, send] : sends) {
      if (send->thread.joinable()) send->thread.join();
    }
  }

  void run_next();
  void finish(std::uint64_t id, SmtpAnswer got);
  void cancel(std::uint64_t id);

  EventLoop& loop;
  const Options options;
  std::uint64_t next_id = 1;
  std::map<std::uint64_t, std::unique_ptr<Send>> sends;
  std::deque<std::uint64_t> waiting;
  std::size_t running = 0;
  /// Shared with what threads post: it may run after us, and then finds this gone.
  std::shared_ptr<Impl*> self = std::make_shared<Impl*>(this);
};

class SmtpClient::Handle final : public SmtpSendHandle {
 public:
  Handle(Impl& client, std::uint64_t id)
      : client_(client),
        id_(id) {}

  ~Handle() override { client_.cancel(id_); }

 private:
  Impl& client_;
  const std::uint64_t id_;
};

void SmtpClient::Impl::run_next() {
  while (running < kSendsMax && !waiting.empty()) {
    const std::uint64_t id = waiting.front();
    waiting.pop_front();
    const auto it = sends.find(id);
    if (it == sends.end()) continue;  // Cancelled while it waited.
    Send& send = *it->second;
    const Duration left = send.until - loop.now().mono;
    if (left <= Duration{0}) {
      send.refusal = answer(Kind::kTransient, 0, "its turn did not come within the deadline");
      send.at_once = loop.after(Duration{0}, [this, id] { finish(id, sends[id]->refusal); });
      continue;
    }
    try {
      send.thread = std::thread{[this, id, left, s = &send, alive = std::weak_ptr(self)] {
        SmtpAnswer got = talk(options, s->mail, left, s->cancelled);
        loop.post([id, alive, got = std::move(got)] {
          if (const auto impl = alive.lock()) (*impl)->finish(id, got);
        });
      }};
      ++running;
    } catch (const std::system_error&) {
      send.refusal = answer(Kind::kTransient, 0, "the system has no thread for it");
      send.at_once = loop.after(Duration{0}, [this, id] { finish(id, sends[id]->refusal); });
    }
  }
}

void SmtpClient::Impl::finish(std::uint64_t id, SmtpAnswer got) {
  const auto it = sends.find(id);
  const std::unique_ptr<Send> send = std::move(it->second);
  sends.erase(it);
  if (send->thread.joinable()) {
    send->thread.join();  // It has posted this and is about to return.
    --running;
  }
  run_next();
  if (!send->cancelled) send->done(std::move(got));
}

void SmtpClient::Impl::cancel(std::uint64_t id) {
  const auto it = sends.find(id);
  if (it == sends.end()) return;
  it->second->cancelled = true;
  // A thread ends by itself soon and is collected then.
  if (!it->second->thread.joinable()) sends.erase(it);
}

Expected<std::unique_ptr<SmtpClient>> SmtpClient::open(EventLoop& loop, Options options) {
  if (!curl_ready()) return fail(Errc::kUnavailable, "libcurl does not start");
  const auto plain = [](std::string_view text, std::string_view marks) {
    return !text.empty() && text.size() <= 253 &&
           std::all_of(text.begin(), text.end(), [&](char c) {
             return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    marks.find(c) != std::string_view::npos;
           });
  };
  if (!plain(options.host, ".-:_")) {
    return fail(Errc::kInvalid, "\"{}\": expected a host name or an address",
                printable(options.host, 80));
  }
  if (!plain(options.hello, ".-_")) options.hello = "localhost";
  return std::unique_ptr<SmtpClient>{
      new SmtpClient{std::make_unique<Impl>(loop, std::move(options))}};
}

SmtpClient::SmtpClient(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}

SmtpClient::~SmtpClient() = default;

std::unique_ptr<SmtpSendHandle> SmtpClient::start(SmtpMail mail, Done done) {
  Impl& impl = *impl_;
  const std::uint64_t id = impl.next_id++;
  auto owned = std::make_unique<Impl::Send>();
  Impl::Send& send = *owned;
  send.until = impl.loop.now().mono + mail.deadline;
  send.mail = std::move(mail);
  send.done = std::move(done);
  impl.sends.emplace(id, std::move(owned));
  const auto wrong = mail_error(send.mail, impl.options.tls);
  if (wrong || impl.waiting.size() >= kQueueMax) {
    const bool ours = wrong && send.mail.username.empty();
    send.refusal = wrong ? answer(ours ? Kind::kPermanent : Kind::kTransient, 0, *wrong)
                         : answer(Kind::kTransient, 0, "too many mails wait for the server");
    send.at_once =
        impl.loop.after(Duration{0}, [i = &impl, id] { i->finish(id, i->sends[id]->refusal); });
  } else {
    impl.waiting.push_back(id);
    impl.run_next();
  }
  return std::make_unique<Handle>(impl, id);
}

}  // namespace tocsin::io

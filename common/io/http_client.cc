#include "common/io/http_client.h"

#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/codec/url.h"
#include "common/io/curl_guard.h"
#include "common/io/fd.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <curl/curl.h>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace tocsin::io {

namespace {

/// A connection that was idle for longer is not used again: the other side has probably closed it.
constexpr long kConnectionAgeSecondsMax = 30;
constexpr long kIdleConnectionsMax = 64;

bool is_header_safe(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    const auto u = static_cast<unsigned char>(c);
    return u < 0x20 || u == 0x7f;
  });
}

}  // namespace

struct HttpClient::Transfer {
  Transfer(Impl& client_, std::uint64_t id_)
      : client(client_),
        id(id_) {}

  Impl& client;
  std::uint64_t id;
  HttpCall call;
  Done done;
  CURL* easy = nullptr;
  curl_slist* header_list = nullptr;
  std::array<char, CURL_ERROR_SIZE> error{};
  std::optional<Error> refused;  ///< Never began.
  std::optional<Error> denied;   ///< Of the last address the policy refused; another may do.
  HttpAnswer answer;
  std::size_t read = 0;
  bool enough = false;  ///< We stopped reading on purpose.

  std::size_t keep() const { return call.keep_bytes == 0 ? kKeptBytes : call.keep_bytes; }

  TimerHandle at_once;  ///< For a refusal without any transfer.
};

struct HttpClient::Impl {
  Impl(EventLoop& loop_, Options options_)
      : loop(loop_),
        options(std::move(options_)) {}

  ~Impl();

  Expected<void> begin(Transfer& t);
  void end(Transfer& t);
  void cancel(std::uint64_t id);
  void finish(std::uint64_t id, CURLcode code);
  void on_ready(curl_socket_t fd, int mask);
  void report();

  static int on_socket(CURL*, curl_socket_t fd, int what, void* self, void*);
  static int on_timer(CURLM*, long ms, void* self);
  static curl_socket_t on_open(void* transfer, curlsocktype, curl_sockaddr* address);
  static int on_close(void* self, curl_socket_t fd);
  static std::size_t on_body(char* data, std::size_t, std::size_t n, void* transfer);
  static std::size_t on_header(char* data, std::size_t, std::size_t n, void* transfer);

  EventLoop& loop;
  Options options;
  CURLM* multi = nullptr;
  std::uint64_t next_id = 1;
  std::unordered_map<std::uint64_t, std::unique_ptr<Transfer>> transfers;
  std::unordered_map<curl_socket_t, WatchHandle> watches;
  TimerHandle timer;
};

class HttpClient::Handle final : public HttpCallHandle {
 public:
  Handle(Impl& client, std::uint64_t id)
      : client_(client),
        id_(id) {}

  ~Handle() override { client_.cancel(id_); }

 private:
  Impl& client_;
  const std::uint64_t id_;
};

HttpClient::Impl::~Impl() {
  while (!transfers.empty()) cancel(transfers.begin()->first);
  if (multi != nullptr) curl_multi_cleanup(multi);  // Closes idle connections through on_close.
  watches.clear();
}

int HttpClient::Impl::on_socket(CURL*, curl_socket_t fd, int what, void* self, void*) {
  Impl& impl = *static_cast<Impl*>(self);
  if (what == CURL_POLL_REMOVE) {
    impl.watches.erase(fd);
    return 0;
  }
  Interest interest = Interest::kNone;
  if (what == CURL_POLL_IN || what == CURL_POLL_INOUT) interest = interest | Interest::kRead;
  if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT) interest = interest | Interest::kWrite;
  WatchHandle& watch = impl.watches[fd];
  if (watch) {
    watch->set(interest);
    return 0;
  }
  watch = impl.loop.watch(fd, interest, [i = &impl, fd](Interest ready) {
    int mask = 0;
    if (has(ready, Interest::kRead)) mask |= CURL_CSELECT_IN;
    if (has(ready, Interest::kWrite)) mask |= CURL_CSELECT_OUT;
    i->on_ready(fd, mask);
  });
  return 0;
}

int HttpClient::Impl::on_timer(CURLM*, long ms, void* self) {
  Impl& impl = *static_cast<Impl*>(self);
  // curl must not be entered from here, so even "now" waits for the next turn.
  if (ms < 0) {
    impl.timer.reset();
  } else {
    impl.timer = impl.loop.after(std::chrono::milliseconds{ms},
                                 [i = &impl] { i->on_ready(CURL_SOCKET_TIMEOUT, 0); });
  }
  return 0;
}

curl_socket_t HttpClient::Impl::on_open(void* transfer, curlsocktype, curl_sockaddr* address) {
  Transfer& t = *static_cast<Transfer*>(transfer);
  auto fd = open_allowed_socket(t.client.options.egress, address->family, address->socktype,
                                address->protocol, address->addr, t.answer.remote);
  if (!fd) {
    t.denied = fd.error();
    return CURL_SOCKET_BAD;
  }
  return *fd;
}

int HttpClient::Impl::on_close(void* self, curl_socket_t fd) {
  static_cast<Impl*>(self)->watches.erase(fd);
  Fd{fd}.reset();
  return 0;
}

std::size_t HttpClient::Impl::on_body(char* data, std::size_t, std::size_t n, void* transfer) {
  Transfer& t = *static_cast<Transfer*>(transfer);
  t.read += n;
  t.answer.body.append(data, std::min(n, t.keep() - t.answer.body.size()));
  if (t.read <= std::max(t.keep(), kReadBytesMax)) return n;
  t.enough = true;
  return 0;
}

std::size_t HttpClient::Impl::on_header(char* data, std::size_t, std::size_t n, void* transfer) {
  Transfer& t = *static_cast<Transfer*>(transfer);
  const std::string_view line{data, n};
  if (line.starts_with("HTTP/")) t.answer.headers.clear();  // A block after "100 Continue".
  const std::size_t colon = line.find(':');
  if (colon != std::string_view::npos && t.answer.headers.size() < kHeadersMax) {
    t.answer.headers.push_back(
        {to_lower(trim(line.substr(0, colon))), std::string{trim(line.substr(colon + 1))}});
  }
  return n;
}

Expected<void> HttpClient::Impl::begin(Transfer& t) {
  TRY(parse_url(t.call.url));
  for (const Header& h : t.call.headers) {
    if (!is_header_safe(h.name) || !is_header_safe(h.value)) {
      return fail(Errc::kInvalid, "header {}: has a control character", printable(h.name));
    }
    curl_slist* longer =
        curl_slist_append(t.header_list, fmt::format("{}: {}", h.name, h.value).c_str());
    if (longer == nullptr) return fail(Errc::kUnavailable, "call {}: out of memory", t.call.url);
    t.header_list = longer;
  }
  t.easy = curl_easy_init();
  if (t.easy == nullptr) return fail(Errc::kUnavailable, "call {}: out of memory", t.call.url);
  bool ok = true;
  const auto set = [&](CURLoption option, auto value) {
    ok = ok && curl_easy_setopt(t.easy, option, value) == CURLE_OK;
  };
  set(CURLOPT_URL, t.call.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_PROXY, "");  // The egress policy is asked about the address: there is no proxy.
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_CONNECTTIMEOUT_MS, curl_milliseconds(t.call.connect_timeout));
  set(CURLOPT_TIMEOUT_MS, curl_milliseconds(t.call.timeout));
  set(CURLOPT_MAXAGE_CONN, kConnectionAgeSecondsMax);
  set(CURLOPT_USERAGENT, options.user_agent.c_str());
  if (!options.ca_file.empty()) {
    set(CURLOPT_CAINFO, options.ca_file.c_str());
    set(CURLOPT_CAPATH, static_cast<const char*>(nullptr));
  }
  set(CURLOPT_HTTPHEADER, t.header_list);
  set(CURLOPT_CUSTOMREQUEST, t.call.method.c_str());
  if (t.call.method == "POST" || !t.call.body.empty()) {
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(t.call.body.size()));
    set(CURLOPT_POSTFIELDS, t.call.body.data());
  } else if (t.call.method == "HEAD") {
    set(CURLOPT_NOBODY, 1L);
  }
  set(CURLOPT_ERRORBUFFER, t.error.data());
  set(CURLOPT_PRIVATE, &t);
  set(CURLOPT_OPENSOCKETFUNCTION, &Impl::on_open);
  set(CURLOPT_OPENSOCKETDATA, &t);
  set(CURLOPT_CLOSESOCKETFUNCTION, &Impl::on_close);
  set(CURLOPT_CLOSESOCKETDATA, this);  // A kept connection outlives the transfer.
  set(CURLOPT_WRITEFUNCTION, &Impl::on_body);
  set(CURLOPT_WRITEDATA, &t);
  set(CURLOPT_HEADERFUNCTION, &Impl::on_header);
  set(CURLOPT_HEADERDATA, &t);
  if (!ok) return fail(Errc::kUnavailable, "call {}: libcurl refused an option", t.call.url);
  if (curl_multi_add_handle(multi, t.easy) != CURLM_OK) {
    return fail(Errc::kUnavailable, "call {}: libcurl refused the transfer", t.call.url);
  }
  return {};
}

void HttpClient::Impl::end(Transfer& t) {
  if (t.easy != nullptr) {
    curl_multi_remove_handle(multi, t.easy);
    curl_easy_cleanup(t.easy);
    t.easy = nullptr;
  }
  curl_slist_free_all(t.header_list);
  t.header_list = nullptr;
}

void HttpClient::Impl::cancel(std::uint64_t id) {
  const auto it = transfers.find(id);
  if (it == transfers.end()) return;
  end(*it->second);
  transfers.erase(it);
}

void HttpClient::Impl::finish(std::uint64_t id, CURLcode code) {
  const auto it = transfers.find(id);
  CHECK(it != transfers.end());
  const std::unique_ptr<Transfer> t = std::move(it->second);
  transfers.erase(it);

  Expected<HttpAnswer> result = Unexpected{Error{}};
  if (t->refused) {
    result = Unexpected{*t->refused};
  } else if (code == CURLE_OK || t->enough) {
    long status = 0;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    t->answer.status = static_cast<int>(status);
    result = std::move(t->answer);
  } else if (t->denied) {
    result = Unexpected{*t->denied};
  } else {
    const char* why = t->error[0] != '\0' ? t->error.data() : curl_easy_strerror(code);
    result =
        Unexpected{Error{code == CURLE_OPERATION_TIMEDOUT ? Errc::kTimeout : Errc::kUnavailable,
                         fmt::format("{} {}: {}", t->call.method, t->call.url, printable(why))}};
  }
  const Done done = std::move(t->done);
  end(*t);
  done(std::move(result));
}

void HttpClient::Impl::on_ready(curl_socket_t fd, int mask) {
  int running = 0;
  curl_multi_socket_action(multi, fd, mask, &running);
  report();
}

void HttpClient::Impl::report() {
  // One at a time: a `done` may start or cancel others.
  while (true) {
    int left = 0;
    const CURLMsg* message = curl_multi_info_read(multi, &left);
    if (message == nullptr) return;
    if (message->msg != CURLMSG_DONE) continue;
    Transfer* t = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t);
    CHECK(t != nullptr);
    finish(t->id, message->data.result);
  }
}

Expected<std::unique_ptr<HttpClient>> HttpClient::open(EventLoop& loop, Options options) {
  if (!curl_ready()) return fail(Errc::kUnavailable, "libcurl does not start");
  auto impl = std::make_unique<Impl>(loop, std::move(options));
  impl->multi = curl_multi_init();
  if (impl->multi == nullptr) return fail(Errc::kUnavailable, "libcurl: out of memory");
  const auto set = [&](CURLMoption option, auto value) {
    return curl_multi_setopt(impl->multi, option, value) == CURLM_OK;
  };
  if (!set(CURLMOPT_SOCKETFUNCTION, &Impl::on_socket) || !set(CURLMOPT_SOCKETDATA, impl.get()) ||
      !set(CURLMOPT_TIMERFUNCTION, &Impl::on_timer) || !set(CURLMOPT_TIMERDATA, impl.get()) ||
      !set(CURLMOPT_MAXCONNECTS, kIdleConnectionsMax)) {
    return fail(Errc::kUnavailable, "libcurl refused an option");
  }
  return std::unique_ptr<HttpClient>{new HttpClient{std::move(impl)}};
}

HttpClient::HttpClient(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}

HttpClient::~HttpClient() = default;

std::unique_ptr<HttpCallHandle> HttpClient::start(HttpCall call, Done done) {
  Impl& impl = *impl_;
  const std::uint64_t id = impl.next_id++;
  auto owned = std::make_unique<Transfer>(impl, id);
  Transfer& t = *owned;
  t.call = std::move(call);
  t.done = std::move(done);
  impl.transfers.emplace(id, std::move(owned));
  if (auto begun = impl.begin(t); !begun) {
    t.refused = begun.error();
    t.at_once = impl.loop.after(Duration{0}, [i = &impl, id] { i->finish(id, CURLE_OK); });
  }
  return std::make_unique<Handle>(impl, id);
}

}  // namespace tocsin::io

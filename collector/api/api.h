#pragma once
// Question answered here: what can be read and done under /api/v1?
//
// The admin API (docs/api.md). Every request is authenticated and authorized
// (authorize.h) before its body is looked at. Reads of the present come from the newest view, reads
// of history from the store by way of the thread `query`; every change is a command to the engine
// and is answered after its commit, so an answer of 2xx is durable and the next read shows it.
//
// Specification
//  AP1 An error is a problem document (RFC 9457): 400 not JSON, 401 no or no valid token, 403 not
//      allowed, 404, 409 managed by the monitors file or exists already, 412 changed since the ETag
//      of If-Match, 415, 422 with `errors` [{path, text}], 429, 503 with Retry-After.
//  AP2 Lists take `limit` (1 to 500, 50) and `cursor`, and answer {"items": [...], "next_cursor"}.
//  AP3 An object's ETag is its revision. A write with If-Match is carried out only on that
//      revision; the check and the write are one step.
//  AP4 A POST with Idempotency-Key (1 to 128 printable characters) is carried out once within 24 h;
//      sent again it answers with what was made then.
//  AP5 A request is believed a token, or the cookie of a session (session_cookie.h says when).

#include "collector/api/authorize.h"
#include "collector/api/event_feed.h"
#include "collector/api/login_guard.h"
#include "collector/api/router.h"
#include "collector/ports/enrolment.h"
#include "collector/ports/event_sink.h"
#include "collector/ports/query_port.h"
#include "collector/ports/view_source.h"
#include "common/base/rate_limiter.h"
#include "common/codec/node.h"
#include "common/io/event_loop.h"
#include "common/io/password_pool.h"
#include "common/io/secret_box.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::collector {

/// One thread: `net`.
class Api {
 public:
  /// Per principal: 50 a second, 500 at once; per address without a valid token: 1 a second, 20 at
  /// once.
  static constexpr RateLimiter::Options kRate{std::chrono::milliseconds{20}, 500, 10'000};
  static constexpr RateLimiter::Options kStrangers{std::chrono::seconds{1}, 20, 10'000};
  /// Failed logins of an account, and from an address, which may be an office or a proxy
  /// (LoginGuard).
  static constexpr std::uint32_t kAccountFailures = 5;
  static constexpr std::uint32_t kAddressFailures = 20;
  /// A session's end is moved on at most this often.
  static constexpr Duration kTouchEvery = std::chrono::minutes{5};
  /// Bytes of the name of a status page's group.
  static constexpr std::size_t kComponentGroupMax = 200;

  struct Ports {
    io::EventLoop& loop;
    ViewSource& views;
    EventSink& engine;
    QueryPort& query;
    /// Of objects, requests and tokens: a UUIDv7 of now.
    std::function<Uuid()> new_id;
    /// 256 random bits in base64url, 43 characters.
    std::function<std::string()> new_secret;
    io::PasswordPool& passwords;
    std::string public_url;       ///< As configured; may be empty.
    bool secure_cookies = false;  ///< People come by https.
    EnrolmentMaker new_enrolment;
    const io::SecretBox& box;  ///< Seals secrets that monitors name.
  };

  explicit Api(Ports ports);
  ~Api();
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  /// `router` does not outlive this.
  void add_routes(Router& router);

  /// A view came.
  void look() { feed_.look(); }

 private:
  /// One request on its way to its answer.
  struct Call {
    codec::HttpRequest request;
    PathValues values;
    Principal principal;
    std::shared_ptr<const EngineView> view;
    /// Shared because answers are copied into functions; answered once.
    std::shared_ptr<io::HttpResponder> responder;

    const std::string& value(std::string_view name) const { return values.find(name)->second; }

    void answer(io::HttpResponse response) const;
  };

  using Run = std::function<void(Call call)>;
  /// Makes the answer of a command that was carried out, from the view after it.
  using Ok = std::function<io::HttpResponse(const Reply& reply, const EngineView& view)>;
  /// Reads on the thread `query`.
  using Read = std::function<io::HttpResponse(StoreReader& reader)>;

  /// In place of `owner`: every user may ask, and `run` looks at whose object it is.
  static constexpr std::string_view kCaller = "*";

  /// `owner`: the name in the pattern that stands for the user whose object it is.
  void add(Router& router, codec::HttpMethod method, std::string pattern, Action action,
           std::string_view collection, Run run, std::string_view owner = {});
  void add_catalog(Router& router);
  void add_collection(Router& router, ObjectKind kind);
  void add_incidents(Router& router);
  void add_history(Router& router);
  void add_access(Router& router);
  void add_reports(Router& router);
  void add_secrets(Router& router);
  void add_events(Router& router);
  void add_parts(Router& router);
  template <class Part>
  void add_user_parts(Router& router);
  void add_components(Router& router);
  void add_sessions(Router& router);
  void log_in(const codec::HttpRequest& request, io::HttpResponder responder);
  /// The password was right: it matched `hash`.
  void open_session(const std::string& user, const std::string& hash, const std::string& client,
                    const std::shared_ptr<io::HttpResponder>& responder);
  void set_password(const Call& call);
  void store_password(const Call& call, std::string password);

  /// Why a session may not change something by this request.
  std::optional<io::HttpResponse> refuse_foreign(const codec::HttpRequest& request,
                                                 const Principal& principal) const;

  /// `strip`: what is taken from the front of the paths of errors.
  void command(const Call& call, Event event, Ok ok, std::string strip = {});
  void read(const Call& call, Read read);
  /// The edit of one object, from a body that is its form.
  void put_object(const Call& call, ObjectKind kind, const codec::Node& body,
                  std::vector<Precondition> preconditions, bool created);
  void apply(const Call& call);

  Ports ports_;
  EventFeed feed_;
  /// TokenRow::last_used, to the hour; SessionRow::expires, to kTouchEvery.
  void touch(const Principal& principal, const EngineView& view, WallTime now);

  /// By token id or session digest, when the engine was told; no more than there are of them.
  std::map<std::string, WallTime> touched_;
  RateLimiter rate_{kRate};
  RateLimiter strangers_{kStrangers};
  LoginGuard accounts_{kAccountFailures};
  LoginGuard addresses_{kAddressFailures};
};

}  // namespace tocsin::collector

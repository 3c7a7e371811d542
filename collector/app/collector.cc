#include "collector/app/collector.h"

#include "collector/api/ack_links.h"
#include "collector/api/api.h"
#include "collector/api/engine_metrics.h"
#include "collector/api/openapi.h"
#include "collector/api/public_api.h"
#include "collector/api/router.h"
#include "collector/app/admin_commands.h"
#include "collector/app/admin_socket.h"
#include "collector/app/backup.h"
#include "collector/app/collector_metrics.h"
#include "collector/app/heart.h"
#include "collector/app/monitors_file.h"
#include "collector/app/page_history.h"
#include "collector/app/query_thread.h"
#include "collector/app/state_dir.h"
#include "collector/channels/email.h"
#include "collector/channels/outbox_runner.h"
#include "collector/channels/store_alarm.h"
#include "collector/channels/trouble_reporter.h"
#include "collector/channels/webhook.h"
#include "collector/core/ack_link.h"
#include "collector/engine/store_outbox.h"
#include "collector/ingest/ingest.h"
#include "collector/ports/view_source.h"
#include "collector/status/pages.h"
#include "collector/store/sqlite_store.h"
#include "common/base/rng.h"
#include "common/io/build_info.h"
#include "common/io/http_client.h"
#include "common/io/http_server.h"
#include "common/io/log.h"
#include "common/io/metrics.h"
#include "common/io/password_pool.h"
#include "common/io/privileges.h"
#include "common/io/random.h"
#include "common/io/sd_notify.h"
#include "common/io/secret_box.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>

namespace tocsin::collector {
namespace {

constexpr Duration kLookEvery = std::chrono::seconds{1};
constexpr Duration kDrainHttp = std::chrono::seconds{5};
constexpr Duration kDrainAll = std::chrono::seconds{25};  ///< Above OutboxRunner::kSendDeadline.
constexpr Duration kDrainLook = std::chrono::milliseconds{20};
/// A command without a daemon has the directory for milliseconds; a collector that ends, for
/// longer.
constexpr Duration kLockPatience = std::chrono::seconds{10};
constexpr Duration kRetryReload = std::chrono::milliseconds{200};

std::string hostname() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  return name.data();
}

std::uint64_t random_seed() {
  std::array<std::uint8_t, 8> bytes{};
  io::fill_random(bytes);
  std::uint64_t seed = 0;
  std::memcpy(&seed, bytes.data(), sizeof seed);
  return seed;
}

StartError start_error_at(const CollectorConfig& config, std::string_view key, const Error& error) {
  return {Exit::kFailure, {fmt::format("{}: {}: {}", config.where(key), key, error.text)}};
}

/// How long to wait for the state directory: not at all while another collector serves from it.
Duration lock_patience(const CollectorConfig& config) {
  return somebody_listens(config.admin_socket_path()) ? Duration{0} : kLockPatience;
}

}  // namespace

StartError start_error(Error error) {
  return {error.code == Errc::kUnavailable ? Exit::kTemporary : Exit::kFailure,
          {std::move(error.text)}};
}

struct Collector::Impl {
  Impl(const CollectorConfig& config_in, io::EventLoop& loop_in)
      : config(config_in),
        loop(loop_in) {}

  // --- start, in this order ---
  Started<void> open_heart();
  Started<void> apply_monitors();
  Started<void> open_ingest();
  Started<void> open_mail();
  Started<void> open_outbox();
  Started<void> open_queries();
  Started<void> open_http();
  Started<void> open_admin();
  void look();

  // --- later ---
  void take_view(std::shared_ptr<const EngineView> view, const EngineStats& stats);
  std::string metrics_text();
  std::string ack_url(const OutboxRow& row) const;

  BundleSource bundle_source() const { return {keys.public_key, ingest->endpoint(), hostname()}; }

  void reload();
  void apply(const std::shared_ptr<const MonitorsFile>& file);
  void drain(std::function<void()> done);
  void look_at_drain();

  const CollectorConfig config;
  io::EventLoop& loop;
  io::CurveKeyPair keys;
  io::Secret ack_key;
  std::optional<io::SecretBox> box;
  LinkBox orders;
  ViewHolder views;
  io::Metrics metrics;
  Rng rng{random_seed()};

  std::unique_ptr<Heart> heart;
  std::unique_ptr<StoreOutbox> outbox;
  std::unique_ptr<io::HttpClient> client;
  std::unique_ptr<WebhookChannel> webhook;
  std::unique_ptr<io::SmtpClient> mailer;
  std::unique_ptr<EmailChannel> email;
  std::unique_ptr<TroubleReporter> troubles;
  std::unique_ptr<OutboxRunner> runner;
  std::unique_ptr<StoreAlarm> alarm;  ///< None without a fallback_channel.
  WatchedClock ingest_clock{"zmq"};
  std::unique_ptr<Ingest> ingest;
  WatchedClock query_clock{"query"};
  std::unique_ptr<QueryThread> queries;
  std::unique_ptr<status::StatusPages> pages;
  Router router;
  std::unique_ptr<io::PasswordPool> passwords;
  std::unique_ptr<AckLinks> ack_links;
  std::unique_ptr<Api> api;
  std::unique_ptr<io::HttpServer> http;
  std::unique_ptr<AdminCommands> commands;
  std::unique_ptr<AdminServer> admin;
  io::TimerHandle look_timer;
  io::TimerHandle reload_timer;

  std::uint64_t monitors_of = UINT64_MAX;  ///< config_version that `queries` was told of.
  std::vector<IncidentId> open_incidents;  ///< Of which `queries` was told.
  MonoTime view_at;
  std::optional<MonoTime> drain_until;
  std::function<void()> drained;
  bool http_drained = false;
};

// --- start ---

Started<std::unique_ptr<Collector>> Collector::start(const CollectorConfig& config,
                                                     io::EventLoop& loop) {
  auto impl = std::make_unique<Impl>(config, loop);
  for (const auto step :
       {&Impl::open_heart, &Impl::apply_monitors, &Impl::open_ingest, &Impl::open_outbox,
        &Impl::open_queries, &Impl::open_http, &Impl::open_admin}) {
    if (auto done = (impl.get()->*step)(); !done) return tl::unexpected(done.error());
  }
  impl->look();
  log::info("the collector serves",
            {{"version", io::version()},
             {"http", config.listen.host + ":" + std::to_string(impl->http->port())},
             {"agents", impl->ingest->endpoint()},
             {"state_dir", config.state_dir}});
  return std::unique_ptr<Collector>(new Collector(std::move(impl)));
}

Collector::Collector(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}

Collector::~Collector() = default;

void Collector::reload() { impl_->reload(); }

std::vector<std::string> Collector::routes() const { return impl_->router.routes(); }

void Collector::drain(std::function<void()> done) { impl_->drain(std::move(done)); }

Started<void> Collector::Impl::open_heart() {
  if (auto made = make_state_dir(config.state_dir); !made) {
    return tl::unexpected(start_error_at(config, "state_dir", made.error()));
  }
  if (const auto whole = expect_no_restore(config.state_dir); !whole) {
    return tl::unexpected(start_error(whole.error()));
  }
  auto loaded = load_keys(config.public_key_path(), config.secret_key_path());
  if (!loaded) return tl::unexpected(StartError{Exit::kFailure, {loaded.error().text}});
  keys = *std::move(loaded);
  auto ack = load_or_make_key(config.ack_key_path(), kAckKeyBytes);
  if (!ack) return tl::unexpected(StartError{Exit::kFailure, {ack.error().text}});
  ack_key = *std::move(ack);
  auto sealing = load_or_make_key(config.sealing_key_path(), io::SecretBox::kKeyBytes);
  if (!sealing) return tl::unexpected(StartError{Exit::kFailure, {sealing.error().text}});
  box.emplace(*std::move(sealing));

  Heart::Ports ports{orders,
                     [this](std::shared_ptr<const EngineView> view, const EngineStats& stats) {
                       loop.post([this, view = std::move(view), stats] { take_view(view, stats); });
                     },
                     [this] {
                       loop.post([this] {
                         if (runner) runner->wake();
                       });
                     }};
  auto opened = Heart::open(config, std::move(ports), lock_patience(config));
  if (!opened) return tl::unexpected(opened.error());
  heart = *std::move(opened);
  loop.run_once(Duration{0});  // The first view was posted.
  return {};
}

Started<void> Collector::Impl::apply_monitors() {
  const auto errors = heart->apply_monitors(config, loop.now().wall);
  if (errors.empty()) return {};
  // What was applied before still stands in the store: better to watch that than nothing.
  if (views.view() == nullptr || views.view()->monitors.empty()) {
    return tl::unexpected(StartError{Exit::kConfig, errors});
  }
  for (const std::string& line : errors) {
    log::error("the monitors file has an error, so the monitors stay as they were",
               {{"error", line}});
  }
  return {};
}

Started<void> Collector::Impl::open_ingest() {
  auto started = Ingest::start({.endpoint = config.agents, .keys = keys, .box = &*box},
                               {heart->engine(), orders, ingest_clock});
  if (!started) return tl::unexpected(start_error_at(config, "agents", started.error()));
  ingest = *std::move(started);
  return {};
}

Started<void> Collector::Impl::open_mail() {
  EmailChannel::Options mail;
  mail.secrets_dir = config.secrets_dir;
  mail.ack_url = [this](const OutboxRow& row) { return ack_url(row); };
  if (config.smtp) {
    io::SmtpClient::Options options;
    options.egress = config.egress;
    options.host = config.smtp->host;
    options.port = config.smtp->port;
    options.tls = config.smtp->tls;
    options.ca_file = config.smtp->ca_file;
    options.hello = hostname();
    auto opened = io::SmtpClient::open(loop, std::move(options));
    if (!opened) return tl::unexpected(start_error_at(config, "smtp", opened.error()));
    mailer = *std::move(opened);
    mail.from = config.smtp->from;
    mail.username = config.smtp->username;
    mail.password_file = config.smtp->password_file;
  }
  email = std::make_unique<EmailChannel>(loop, mailer.get(), std::move(mail));
  return {};
}

Started<void> Collector::Impl::open_outbox() {
  outbox = std::make_unique<StoreOutbox>(heart->store(), loop);
  io::HttpClient::Options options;
  options.egress = config.egress;
  options.user_agent = fmt::format("tocsin-collector/{}", io::version());
  auto opened = io::HttpClient::open(loop, options);
  if (!opened) return tl::unexpected(start_error(opened.error()));
  client = *std::move(opened);
  WebhookChannel::Options webhook_options;
  webhook_options.secrets_dir = config.secrets_dir;
  webhook_options.ack_url = [this](const OutboxRow& row) { return ack_url(row); };
  webhook_options.source =
      config.public_url.empty() ? fmt::format("tocsin://{}", hostname()) : config.public_url;
  webhook = std::make_unique<WebhookChannel>(loop, *client, webhook_options);
  if (auto mail = open_mail(); !mail) return mail;
  runner = std::make_unique<OutboxRunner>(
      loop, rng, *outbox,
      std::map<ChannelType, Channel*>{{ChannelType::kWebhook, webhook.get()},
                                      {ChannelType::kEmail, email.get()}});
  troubles = std::make_unique<TroubleReporter>(loop, heart->engine());
  runner->on_outcome([this](const OutboxRow& row, DeliveryOutcome outcome, const std::string& why) {
    troubles->on_outcome(row, outcome, why);
  });
  runner->wake();
  if (config.fallback_channel.url.empty()) return {};
  alarm = std::make_unique<StoreAlarm>(
      loop, rng, webhook_options.source,
      [this](std::string body, const std::string& key, Duration deadline, Channel::Done done) {
        return webhook->post(config.fallback_channel, std::move(body), key, deadline,
                             std::move(done));
      });
  return {};
}

Started<void> Collector::Impl::open_queries() {
  auto reader = heart->open_reader(config);
  if (!reader) return tl::unexpected(reader.error());
  auto maintain = heart->open_maintenance(config);
  if (!maintain) return tl::unexpected(maintain.error());
  auto roll_up = heart->open_rollup(config);
  if (!roll_up) return tl::unexpected(roll_up.error());
  queries = std::make_unique<QueryThread>(QueryThread::Ports{
      *std::move(reader), *std::move(maintain), *std::move(roll_up),
      [this](std::shared_ptr<const UptimeTable> table) {
        loop.post([this, table = std::move(table)] { views.publish_uptime(table); });
      },
      [this](std::shared_ptr<const PageHistory> history) {
        loop.post([this, history = std::move(history)] { views.publish_history(history); });
      },
      query_clock});
  return {};
}

Started<void> Collector::Impl::open_http() {
  io::publish_build_info(metrics);
  pages = std::make_unique<status::StatusPages>(loop.clock(), views, config.public_url);
  add_public_routes(router, {views, *pages, [this] { return metrics_text(); }});
  add_openapi_route(router);
  passwords = std::make_unique<io::PasswordPool>(loop);
  api = std::make_unique<Api>(Api::Ports{
      loop, views, heart->engine(), *queries, [this] { return io::mint_uuid(loop.now().wall); },
      new_secret, *passwords, config.public_url, config.reached_by_https(),
      [this](const EnrolmentWish& wish) {
        return make_enrolment(wish, bundle_source(), loop.now().wall);
      },
      *box});
  api->add_routes(router);
  ack_links =
      std::make_unique<AckLinks>(AckLinks::Ports{loop, views, heart->engine(), *queries, ack_key});
  ack_links->add_routes(router);
  io::HttpServerOptions options;
  options.listen = config.listen.str();
  options.connections_max = static_cast<std::size_t>(config.http.connections_max);
  options.connections_per_address = static_cast<std::size_t>(config.http.connections_per_address);
  options.streams_max = static_cast<std::size_t>(config.http.streams_max);
  options.trusted_proxies = config.http.trusted_proxies;
  if (!config.http.certificate.empty()) {
    options.tls = io::HttpTlsFiles{config.http.certificate, config.http.key};
  }
  auto opened = io::HttpServer::open(
      loop, options, [this](const codec::HttpRequest& request, io::HttpResponder responder) {
        router.route(request, std::move(responder));
      });
  if (!opened) {
    // A taken address is about where we listen; what else can fail is about the certificate.
    const bool address = opened.error().code == Errc::kExists || !options.tls;
    return tl::unexpected(start_error_at(config, address ? "listen" : "http", opened.error()));
  }
  http = *std::move(opened);
  return {};
}

Started<void> Collector::Impl::open_admin() {
  commands = std::make_unique<AdminCommands>(
      AdminCommands::Ports{heart->engine(), loop, [this] { return views.view(); }, bundle_source(),
                           *passwords, pages.get()});
  auto opened = AdminServer::open(
      loop, config.admin_socket_path(),
      [this](const codec::Node& request, const std::string& actor,
             const AdminServer::Answer& answer) { commands->handle(request, actor, answer); });
  if (!opened) return tl::unexpected(start_error(opened.error()));
  admin = *std::move(opened);
  return {};
}

// --- running ---

void Collector::Impl::take_view(std::shared_ptr<const EngineView> view, const EngineStats& stats) {
  if (queries && view->config_version != monitors_of) {
    monitors_of = view->config_version;
    std::vector<MonitorId> ids;
    for (const MonitorView& monitor : view->monitors) ids.push_back(monitor.entry.spec.id);
    queries->set_monitors(std::move(ids));
  }
  std::vector<IncidentId> open;
  for (const IncidentRow& incident : view->open_incidents) open.push_back(incident.id);
  if (queries && open != open_incidents) {
    open_incidents = std::move(open);
    queries->incidents_changed();
    if (views.view() && views.history()) {
      views.publish_history(std::make_shared<const PageHistory>(
          bridge_history(*views.history(), *views.view(), *view)));
    }
  }
  view_at = loop.now().mono;
  views.publish(std::move(view), stats);
  if (api) api->look();
}

/// Once a second: what /readyz says, and whether systemd may believe that we live.
void Collector::Impl::look() {
  const EngineThreadStats stats = heart->engine().stats();
  const std::optional<Duration> failing_for = heart->store().failing_for();
  if (alarm) alarm->look(failing_for);
  const bool fresh = loop.now().mono - view_at < kStaleAfter;
  // An engine that was restored still cannot store what it decides next.
  const bool storing = stats.storing && failing_for.value_or(Duration{0}) < StoreAlarm::kPatience;
  views.set_ready(
      {"store", storing, storing ? "" : "what is decided cannot be stored; see the log"});
  views.set_ready({"engine", fresh, fresh ? "" : "the engine has not answered for a minute"});
  views.set_ready({"ingest", !drain_until, drain_until ? "stopping" : ""});
  // A store that does not work is no reason for a restart: that would not help.
  if ((fresh || !storing) && io::sd_watchdog()) {
    if (const auto told = io::sd_notify("WATCHDOG=1"); !told) {
      log::warning("the service manager was not told", {{"error", told.error()}});
    }
  }
  look_timer = loop.after(std::min(kLookEvery, io::sd_watchdog().value_or(kLookEvery) / 2),
                          [this] { look(); });
}

std::string Collector::Impl::ack_url(const OutboxRow& row) const {
  std::string base = config.public_url;
  if (base.empty()) {
    // Nothing is sent before HTTP listens: the loop has not turned yet.
    base = (config.reached_by_https() ? "https://" : "http://") +
           ListenAddress{config.listen.host, http->port()}.str();
  }
  return fmt::format("{}/ack/{}", base, ack_token(ack_link_of(row), as_bytes(ack_key.reveal())));
}

std::string Collector::Impl::metrics_text() {
  publish_engine_stats(metrics, views.stats());
  publish_http_stats(metrics, http->stats());
  publish_loop_stats(metrics, loop.stats(), loop.take_stall_max());
  publish_ingest_stats(metrics, ingest->stats());
  publish_thread_stats(metrics, heart->engine().stats());
  publish_outbox_stats(metrics, runner->stats());
  if (alarm) publish_store_alarm_stats(metrics, alarm->stats());
  if (const auto view = views.view()) publish_agents(metrics, *view);
  return metrics.text();
}

void Collector::Impl::reload() {
  if (drain_until) return;
  if (!config.http.certificate.empty()) {
    if (const auto read = http->reload_tls()) {
      log::info("the certificate was read", {{"file", config.http.certificate}});
    } else {
      log::error("the certificate has an error, so the old one stays",
                 {{"error", read.error().text}});
    }
  }
  if (config.monitors_file.empty()) return;
  auto file = read_monitors_file(config.monitors_file, loop.now().wall);
  if (!file) {
    for (const std::string& line : file.error()) {
      log::error("the monitors file has an error, so nothing changes", {{"error", line}});
    }
    return;
  }
  // Shared with the answer, which needs the marks.
  apply(std::make_shared<const MonitorsFile>(*std::move(file)));
}

void Collector::Impl::apply(const std::shared_ptr<const MonitorsFile>& file) {
  EngineInput input{
      apply_event(*file), [this, file](Reply reply) {
        loop.post([file, reply = std::move(reply)] {
          const auto errors = reply_errors(*file, reply);
          for (const std::string& line : errors) {
            log::error("the monitors file has an error, so nothing changes", {{"error", line}});
          }
          if (!errors.empty()) return;
          log_changes(reply);
          log::info("the monitors file was read",
                    {{"file", file->path}, {"changes", reply.changes.size()}});
        });
      }};
  if (heart->engine().push(std::move(input))) return;
  reload_timer = loop.after(kRetryReload, [this, file] { apply(file); });
}

// --- the end ---

void Collector::Impl::drain(std::function<void()> done) {
  if (drain_until) return;
  log::info("the collector stops", {{"do", "nothing; agents keep what comes until it is back"}});
  drained = std::move(done);
  drain_until = loop.now().mono + kDrainAll;
  admin.reset();
  reload_timer.reset();
  ingest->stop_reading();
  runner->drain();
  http->drain(kDrainHttp, [this] { http_drained = true; });
  look_at_drain();
}

void Collector::Impl::look_at_drain() {
  const bool ready = http_drained && runner->idle();
  if (!ready && loop.now().mono < *drain_until) {
    look_timer = loop.after(kDrainLook, [this] { look_at_drain(); });
    return;
  }
  look_timer.reset();
  heart->engine().stop();  // What it lets out still reaches the agents: ingest is there.
  ingest.reset();
  queries.reset();
  log::info("the collector has stopped");
  drained();
}

// --- without a daemon ---

namespace {

/// Nobody is connected.
class NoLink final : public LinkSink {
 public:
  [[nodiscard]] bool push(std::vector<LinkOrder>&& orders) override {
    orders.clear();
    return true;
  }
};

}  // namespace

Started<codec::Node> ask_offline(const CollectorConfig& config, const codec::Node& request) {
  const uid_t person = ::getuid();
  if (const auto became = io::become_owner_of(config.state_dir); !became) {
    return tl::unexpected(start_error(became.error()));
  }
  if (const auto whole = expect_no_restore(config.state_dir); !whole) {
    return tl::unexpected(start_error(whole.error()));
  }
  const auto keys = load_keys(config.public_key_path(), config.secret_key_path());
  if (!keys) return tl::unexpected(StartError{Exit::kFailure, {keys.error().text}});
  WatchedClock clock("net");
  io::EventLoop loop(clock);
  std::shared_ptr<const EngineView> view;
  NoLink link;
  auto heart =
      Heart::open(config,
                  {link,
                   [&loop, &view](std::shared_ptr<const EngineView> newest, const EngineStats&) {
                     loop.post([&view, newest = std::move(newest)] { view = newest; });
                   },
                   {}},
                  Duration{0});
  if (!heart) return tl::unexpected(heart.error());
  const auto errors = (*heart)->apply_monitors(config, loop.now().wall);
  if (!errors.empty()) return tl::unexpected(StartError{Exit::kConfig, errors});
  loop.run_once(Duration{0});

  io::PasswordPool passwords(loop);
  AdminCommands commands({(*heart)->engine(),
                          loop,
                          [&view] { return view; },
                          {keys->public_key, config.agents, hostname()},
                          passwords,
                          nullptr});
  codec::Node answer;
  commands.handle(request, fmt::format("command line uid {}", person),
                  [&loop, &answer](const codec::Node& node) {
                    answer = node;
                    loop.stop();
                  });
  loop.run();
  (*heart)->engine().stop();
  return answer;
}

Started<std::vector<std::string>> initialise(const CollectorConfig& config) {
  std::vector<std::string> lines;
  if (const auto became = io::become_owner_of(config.state_dir); !became) {
    return tl::unexpected(start_error(became.error()));
  }
  if (auto made = make_state_dir(config.state_dir); !made) {
    return tl::unexpected(start_error_at(config, "state_dir", made.error()));
  }
  if (const auto whole = expect_no_restore(config.state_dir); !whole) {
    return tl::unexpected(start_error(whole.error()));
  }
  if (std::filesystem::exists(config.public_key_path())) {
    const auto keys = load_keys(config.public_key_path(), config.secret_key_path());
    if (!keys) return tl::unexpected(StartError{Exit::kFailure, {keys.error().text}});
    lines.push_back(fmt::format("kept the keys in {}", config.state_dir));
  } else {
    const auto keys = make_keys(config.public_key_path(), config.secret_key_path());
    if (!keys) return tl::unexpected(start_error(keys.error()));
    lines.push_back(
        fmt::format("made {} and {}", config.public_key_path(), config.secret_key_path()));
  }
  if (config.store == StoreType::kSqlite) {
    SqliteStore::Options options;
    options.directory = config.state_dir;
    options.lock_patience = lock_patience(config);
    auto store = SqliteStore::open(options);
    if (!store) return tl::unexpected(start_error(store.error()));
    lines.push_back(fmt::format("the database {}/{} is ready", config.state_dir, kSqliteFile));
  }
  return lines;
}

}  // namespace tocsin::collector

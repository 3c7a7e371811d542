#include "agent/compat/probe_server.h"

#include "agent/compat/yaml_text.h"
#include "common/base/strings.h"
#include "common/codec/query_string.h"
#include "common/io/log.h"
#include "common/io/metrics.h"

namespace tocsin::agent {

namespace {

constexpr std::string_view kPage = R"(<html>
<head><title>tocsin-agent: probes</title></head>
<body>
<h1>tocsin-agent: probes</h1>
<p><a href="probe?target=prometheus.io&amp;module=http_2xx">Probe prometheus.io for http_2xx</a></p>
<p><a href="probe?target=prometheus.io&amp;module=http_2xx&amp;debug=true">The same, with what
happened</a></p>
<p><a href="metrics">Metrics</a></p>
<p><a href="config">Configuration</a></p>
</body>
</html>
)";

/// The first value of that name, as the exporter reads it; empty when there is none.
std::string first(const codec::Fields& fields, std::string_view name) {
  const auto values = fields.each(name);
  return values.empty() ? std::string{} : std::string{values.front()};
}

io::HttpResponse plain(int status, std::string body) {
  return io::HttpResponse::text(status, std::move(body));
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : printable(text, 100)) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

const Header* find_host(const std::vector<Header>& headers) {
  for (const Header& header : headers) {
    if (iequals(header.name, "host")) return &header;
  }
  return nullptr;
}

}  // namespace

ProbeServer::ProbeServer(io::EventLoop& loop, Options options)
    : loop_(loop),
      modules_file_(std::move(options.modules_file)),
      make_pool_(std::move(options.make_pool)) {}

ProbeServer::~ProbeServer() = default;

Expected<std::unique_ptr<ProbeServer>> ProbeServer::open(io::EventLoop& loop, Options options) {
  io::HttpServerOptions http;
  http.listen = options.listen;
  http.connections_max = kConnectionsMax;
  http.connections_per_address = kConnectionsMax;  // One Prometheus has them all.
  http.limits.body_bytes = 1024;
  http.answer_deadline = kProbeTimeoutMax + std::chrono::seconds{10};
  std::unique_ptr<ProbeServer> out{new ProbeServer{loop, std::move(options)}};
  TRY(out->load());
  TRY_ASSIGN(out->http_, io::HttpServer::open(loop, std::move(http),
                                              [self = out.get()](const codec::HttpRequest& request,
                                                                 io::HttpResponder responder) {
                                                self->answer(request, std::move(responder));
                                              }));
  return out;
}

Expected<void> ProbeServer::load() {
  loaded_ = false;
  auto modules = load_blackbox_modules(modules_file_);
  if (!modules) return fail(Errc::kInvalid, "{}", join(modules.error(), "\n"));
  TRY_ASSIGN(std::shared_ptr<ProbePool> pool, make_pool_(modules->proxies));
  for (const std::string& notice : modules->notices) {
    log::warning("probe module cannot be used", {{"why", notice}});
  }
  modules_ = *std::move(modules);
  pool_ = std::move(pool);
  loaded_ = true;
  loaded_at_ = loop_.now().wall;
  return {};
}

Expected<void> ProbeServer::reload(std::string modules_file, MakePool make_pool) {
  std::swap(modules_file, modules_file_);
  std::swap(make_pool, make_pool_);
  auto loaded = load();
  if (!loaded) {
    std::swap(modules_file, modules_file_);
    std::swap(make_pool, make_pool_);
  }
  return loaded;
}

// --- requests ---

void ProbeServer::answer(const codec::HttpRequest& request, io::HttpResponder responder) {
  const std::string_view path = request.path;
  const bool reads =
      request.method == codec::HttpMethod::kGet || request.method == codec::HttpMethod::kHead;
  if (path == "/-/reload") {
    const bool writes =
        request.method == codec::HttpMethod::kPost || request.method == codec::HttpMethod::kPut;
    if (writes) return reload_on_request(std::move(responder));
    return std::move(responder).send(plain(405, "This endpoint requires a POST request.\n"));
  }
  if (!reads) return std::move(responder).send(plain(405, "only GET and HEAD\n"));
  if (path == "/probe") return probe(request, std::move(responder));
  io::HttpResponse response;
  if (path == "/metrics") {
    response.content_type = io::Metrics::kContentType;
    response.body = metrics();
  } else if (path == "/config") {
    response = plain(200, config());
  } else if (path == "/-/healthy") {
    response = plain(200, "Healthy");
  } else if (path == "/") {
    response.content_type = "text/html; charset=utf-8";
    response.body = kPage;
  } else {
    response = plain(404, "there are /probe, /metrics, /config, /-/healthy and /-/reload\n");
  }
  std::move(responder).send(std::move(response));
}

void ProbeServer::probe(const codec::HttpRequest& request, io::HttpResponder responder) {
  const auto refuse = [&responder](int status, std::string text) {
    std::move(responder).send(plain(status, std::move(text) + "\n"));
  };
  const auto fields = codec::parse_query(request.query);
  if (!fields) return refuse(400, fields.error().text);
  std::string name = first(*fields, "module");
  if (name.empty()) name = "http_2xx";
  const auto known = modules_.modules.find(name);
  if (known == modules_.modules.end()) {
    ++unknown_modules_;
    return refuse(400, "Unknown module " + quoted(name));
  }
  ProbeQuestion question{.module = known->second,
                         .target = first(*fields, "target"),
                         .hostname = first(*fields, "hostname")};
  const BlackboxModule& module = *question.module;
  const auto timeout = probe_timeout(
      request.header("x-prometheus-scrape-timeout-seconds").value_or(""), module.timeout);
  if (!timeout) {
    return refuse(500, "Failed to parse timeout from Prometheus header: " + timeout.error().text);
  }
  question.timeout = *timeout;
  if (question.target.empty()) return refuse(400, "Target parameter is missing");
  if (!module.unsupported.empty()) return refuse(400, module.unsupported);
  if (module.prober == Prober::kHttp && !question.hostname.empty()) {
    const Header* host = find_host(module.http.headers);
    if (host != nullptr && host->value != question.hostname) {
      return refuse(400,
                    fmt::format("host header defined both in module configuration ({}) and "
                                "with URL-parameter 'hostname' ({})",
                                printable(host->value, 255), printable(question.hostname, 255)));
    }
  }
  if (sessions_.size() >= kProbesMax) {
    ++refused_;
    return refuse(503, fmt::format("{} probes are under way, which is the limit", kProbesMax));
  }
  begin(std::move(question), first(*fields, "debug") == "true", std::move(responder));
}

void ProbeServer::begin(ProbeQuestion question, bool debug, io::HttpResponder responder) {
  const std::uint64_t id = next_++;
  responder.on_gone([this, id] {
    ++cancelled_;
    forget(id);
  });
  Session& session = sessions_[id];
  session.responder.emplace(std::move(responder));
  // Null without debug=true; shared because a reload may replace it.
  std::shared_ptr<const BlackboxModule> shown;
  if (debug) shown = question.module;
  session.run = std::make_unique<ProbeRun>(
      loop_, pool_, std::move(question),
      [this, id, shown](const ProbeAnswer& answer) { on_done(id, shown.get(), answer); });
  session.run->start();
}

void ProbeServer::on_done(std::uint64_t id, const BlackboxModule* shown,
                          const ProbeAnswer& answer) {
  ++(answer.verdict.success ? succeeded_ : failed_);
  io::HttpResponse response;
  response.content_type = io::Metrics::kContentType;
  response.body = answer.metrics.text();
  if (shown != nullptr) {
    response.content_type = "text/plain; charset=utf-8";
    std::string text = "Logs for the probe:\n";
    for (const std::string& line : answer.log) text.append(line).append("\n");
    text.append("\n\n\nMetrics that would have been returned:\n").append(response.body);
    text.append("\n\n\nModule configuration:\n").append(yaml_text(shown->source));
    response.body = std::move(text);
  }
  const auto at = sessions_.find(id);
  std::optional<io::HttpResponder> responder = std::move(at->second.responder);
  forget(id);
  std::move(*responder).send(std::move(response));
}

void ProbeServer::forget(std::uint64_t id) {
  const auto at = sessions_.find(id);
  if (at == sessions_.end()) return;
  ended_.push_back(std::move(at->second));
  sessions_.erase(at);
  if (sweep_ && sweep_->armed()) return;
  sweep_ = loop_.after(Duration{0}, [this] { ended_.clear(); });
}

void ProbeServer::reload_on_request(io::HttpResponder responder) {
  const auto loaded = load();
  if (loaded) {
    log::info("probe modules reloaded", {{"modules", modules_.modules.size()}});
    return std::move(responder).send(plain(200, ""));
  }
  log::error("probe modules not taken over", {{"error", loaded.error()}});
  std::move(responder).send(plain(500, "failed to reload config: " + loaded.error().text + "\n"));
}

// --- about itself ---

std::string ProbeServer::metrics() const {
  MetricSheet out;
  out.gauge("blackbox_exporter_config_last_reload_successful",
            "Blackbox exporter config loaded successfully.", loaded_ ? 1 : 0);
  out.gauge("blackbox_exporter_config_last_reload_success_timestamp_seconds",
            "Timestamp of the last successful configuration reload.",
            static_cast<double>(loaded_at_.ms()) / 1e3);
  out.counter("blackbox_module_unknown_total", "Count of unknown modules requested by probes",
              static_cast<double>(unknown_modules_));
  const auto probes = [&](const char* outcome, std::uint64_t count) {
    out.counter("tocsin_probe_requests_total", "Probes asked for by /probe, by how they ended.",
                static_cast<double>(count), {{"outcome", outcome}});
  };
  probes("success", succeeded_);
  probes("failure", failed_);
  probes("refused", refused_);
  probes("cancelled", cancelled_);
  out.gauge("tocsin_probe_requests_under_way", "Probes asked for by /probe that have not ended.",
            static_cast<double>(sessions_.size()));
  return out.text();
}

std::string ProbeServer::config() const {
  codec::Node modules = codec::Node::map();
  for (const auto& [name, module] : modules_.modules) modules.set(name, module->source);
  return yaml_text(codec::Node::map({{"modules", std::move(modules)}}));
}

}  // namespace tocsin::agent

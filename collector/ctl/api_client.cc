#include "collector/ctl/api_client.h"

#include "common/base/strings.h"
#include "common/codec/json.h"
#include "common/io/build_info.h"

#include <fmt/format.h>

namespace tocsin::ctl {

using codec::Node;

Expected<std::unique_ptr<ApiClient>> ApiClient::open(Clock& clock, std::string url,
                                                     std::string token) {
  while (!url.empty() && url.back() == '/') url.pop_back();
  if (!url.starts_with("http://") && !url.starts_with("https://")) {
    return fail(Errc::kInvalid, "expected an http:// or https:// URL, not {}", printable(url, 200));
  }
  std::unique_ptr<ApiClient> out{new ApiClient(clock, std::move(url), std::move(token))};
  io::HttpClient::Options options;
  // Where the admin says; the policy is for what others wrote.
  TRY_ASSIGN(options.egress, EgressPolicy::parse("private", {"0.0.0.0/0", "::/0"}, {}));
  options.user_agent = fmt::format("tocsinctl/{}", io::version());
  TRY_ASSIGN(out->client_, io::HttpClient::open(out->loop_, std::move(options)));
  return out;
}

Expected<Answer> ApiClient::ask(std::string_view method, std::string_view path, const Node* body,
                                std::string_view idempotency_key) {
  io::HttpCall call;
  call.method = method;
  call.url = fmt::format("{}/api/v1{}", url_, path);
  call.keep_bytes = kAnswerBytesMax;
  call.timeout = std::chrono::seconds{60};
  if (!token_.empty()) call.headers.push_back({"Authorization", "Bearer " + token_});
  if (!idempotency_key.empty()) {
    call.headers.push_back({"Idempotency-Key", std::string{idempotency_key}});
  }
  if (body != nullptr) {
    call.headers.push_back({"Content-Type", "application/json"});
    call.body = codec::print_json(*body);
  }
  std::optional<Expected<io::HttpAnswer>> got;
  const auto handle = client_->start(std::move(call), [&](Expected<io::HttpAnswer> answer) {
    got = std::move(answer);
    loop_.stop();
  });
  loop_.run();
  if (!*got) return fail((*got).error().code, "{}: {}", url_, (*got).error().text);
  Answer out;
  out.status = (*got)->status;
  out.text = std::move((*got)->body);
  if (!out.text.empty()) {
    auto parsed = codec::parse_json(
        out.text, {.bytes_max = kAnswerBytesMax, .depth_max = 32, .nodes_max = 4'000'000});
    if (parsed) {
      out.body = *std::move(parsed);
    } else if (out.status < 400) {
      return fail(Errc::kInvalid, "{} does not answer like tocsin-collector: {}", url_,
                  parsed.error().text);
    }
  }
  return out;
}

Error problem_error(const Answer& answer) {
  const Node* detail = answer.body.find("detail");
  std::string text = detail == nullptr
                         ? fmt::format("the collector answered with status {}", answer.status)
                         : printable(detail->text, 1024);
  if (answer.status == 401) text += " (tocsinctl login, or TOCSIN_TOKEN)";
  const bool later = answer.status == 429 || answer.status == 503;
  return Error{later ? Errc::kUnavailable : Errc::kInvalid, std::move(text)};
}

Expected<Node> ApiClient::get(std::string_view path) {
  TRY_ASSIGN(Answer answer, ask("GET", path));
  if (answer.status >= 300) return tl::unexpected(problem_error(answer));
  return std::move(answer.body);
}

Expected<Node> ApiClient::post(std::string_view path, const Node& body,
                               std::string_view idempotency_key) {
  TRY_ASSIGN(Answer answer, ask("POST", path, &body, idempotency_key));
  if (answer.status >= 300) return tl::unexpected(problem_error(answer));
  return std::move(answer.body);
}

void ApiClient::wait(Duration d) {
  const auto timer = loop_.after(d, [this] { loop_.stop(); });
  loop_.run();
}

}  // namespace tocsin::ctl

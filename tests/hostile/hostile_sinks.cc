// hostile_sinks DIRECTORY: reads one text from standard input, puts it wherever a target, an agent
// or a user may put text, and writes what every sink makes of it into the directory, one file each.
// hostile_test.py reads them.

#include "agent/app/check_report.h"
#include "collector/api/ack_page.h"
#include "collector/api/answers.h"
#include "collector/api/event_feed.h"
#include "collector/api/json_views.h"
#include "collector/api/public_api.h"
#include "collector/app/admin_commands.h"
#include "collector/channels/email_body.h"
#include "collector/channels/webhook_body.h"
#include "collector/ctl/text.h"
#include "collector/status/page.h"
#include "collector/status/pages.h"
#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/codec/json.h"
#include "common/io/http_head.h"
#include "common/io/log.h"
#include "tests/support/engine_rig.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

namespace tocsin {
namespace {

using namespace collector;
using codec::Node;

/// What a target or an agent says: any bytes.
std::string hostile;
/// What a user may have written into a name: the text itself when the readers of the catalogue let
/// it pass.
std::string name;
std::string directory;

void write(const std::string& file, const std::string& text) {
  std::ofstream out(directory + "/" + file, std::ios::binary);
  out << text;
  CHECK(out.good());
}

void write_json(const std::string& file, const Node& node) {
  write(file + ".json", codec::print_json(node) + "\n");
}

CatalogEdit everything() {
  CatalogEdit edit;
  edit.regions = {{"eu-west", name}, {"us-east", name}};
  ChannelSpec mail = test::a_channel("mail");
  mail.type = ChannelType::kEmail;
  mail.url.clear();
  mail.secret_file.clear();
  mail.to = "ops@example.com";
  edit.channels = {mail, test::a_channel("hook")};
  UserSpec ann;
  ann.id = test::an_id<UserId>(70);
  ann.key = "ann";
  ann.name = name;
  edit.users = {ann};
  edit.policies = {test::a_policy("web", {{Duration{0}, "mail"}, {Duration{0}, "hook"}})};
  ServiceSpec shop = test::a_service("shop", "web");
  shop.name = shop.description = name;
  edit.services = {shop};
  MonitorSpec monitor =
      test::a_monitor("shop").every(60s).from({"eu-west", "us-east"}).service("shop").build();
  monitor.name = name;
  monitor.tags = {{"team", name}};
  edit.monitors = {monitor};
  StatusPageSpec page;
  page.id = test::an_id<StatusPageId>(80);
  page.slug = "shop";
  page.title = page.description = name;
  PageGroup group;
  group.name = name;
  group.components = {{"shop", "", name}, {"", "Desk", name}};
  page.groups = {group};
  edit.pages = {page};
  return edit;
}

/// The catalogue that takes `name` in every place; with a plain name when it is refused.
void define(test::EngineRig& rig) {
  if (!name.empty()) {
    const Reply reply = rig.apply(everything());
    if (!reply.error) return;
  }
  name = "plain";
  CHECK(!rig.apply(everything()).error.has_value());
}

CheckResult down_result(test::EngineRig& rig, const std::string& region) {
  CheckResult result = rig.result(rig.series_of("shop", region), Outcome::kDown);
  Attempt& attempt = result.attempts[0];
  attempt.finding = {Outcome::kDown, Reason::kAssertBody, hostile};
  attempt.remote = hostile;
  attempt.excerpt = hostile;
  attempt.http_status = 500;
  result.reason = Reason::kAssertBody;
  return result;
}

/// An incident from its opening to its end, by the real engine.
void run_incident() {
  test::EngineRig rig;
  define(rig);
  for (const char* region : {"eu-west", "us-east"}) rig.add_agent(region);
  rig.advance(120s);
  for (const char* region : {"eu-west", "us-east"}) {
    rig.send(rig.agent_in(region), {down_result(rig, region)});
  }
  CHECK(rig.open_incidents().size() == 1);
  const IncidentId incident = rig.open_incidents()[0].id;
  const std::string said = is_valid_utf8(hostile) ? hostile.substr(0, 4000) : "plain";
  rig.step(AddIncidentNote{incident, said, "token:" + said, std::nullopt});
  ReportRow report;
  report.id = test::an_id<ReportId>(90);
  report.rev = 0;
  report.page = "shop";
  report.title = name;
  report.updates = {{rig.now().wall, ReportState::kInvestigating, said}};
  CHECK(!rig.step(PutReport{report, "token:" + said, std::nullopt}).reply->error.has_value());
  EnrolmentRow enrolment;
  enrolment.id = test::an_id<EnrolmentId>(91);
  enrolment.region = "eu-west";
  enrolment.name = hostile;
  EngineView view = rig.engine().view(rig.now().wall);
  for (AgentView& agent : view.agents) agent.row.host = agent.row.version = hostile;

  const status::PageView page = status::make_page(view.pages[0], {view}, {rig.now().wall});
  const status::Place place{"https://status.example.com/status/shop", false};
  for (const PageFileName& file : kPageFiles) {
    std::string flat{file.published};
    std::replace(flat.begin(), flat.end(), '/', '.');
    write("page." + flat, status::render_file(page, place, file.file).body);
  }
  AckPage asked;
  asked.incident = view.open_incidents[0];
  asked.content = rig.outbox.at(0).content;
  asked.who = hostile;
  for (const AckAnswer answer : {AckAnswer::kAsk, AckAnswer::kDone, AckAnswer::kAlready}) {
    asked.answer = answer;
    asked.incident.acknowledged_by = hostile;
    write(fmt::format("ack{}.html", static_cast<int>(answer)), ack_response(asked).body);
  }

  const auto api = [](const std::string& what, const Node& node) {
    write_json("api." + what, node);
  };
  api("monitor", *object_node(view, ObjectKind::kMonitor, "shop"));
  api("status_page", *object_node(view, ObjectKind::kPage, "shop"));
  api("incident", incident_node(view.open_incidents[0], true));
  for (const RegionSpec& region : {RegionSpec{"eu-west", ""}}) {
    api("region", *object_node(view, ObjectKind::kRegion, region.key));
  }
  api("agent", agent_node(view.agents[0]));
  api("enrolment", enrolment_node(enrolment));
  api("report", report_node(view.reports->at(0)));
  api("result", result_node(rig.results.at(0), view));
  api("verdict", verdict_node(rig.verdicts.rbegin()->second));
  api("audit", audit_node({7, rig.now().wall, hostile, hostile, hostile, hostile, hostile}));
  TokenRow token;
  token.name = token.created_by = hostile;
  api("token", token_node(token));
  OutboxItem item;
  for (const auto& [key, line] : rig.timeline) {
    if (line.type == TimelineType::kNote) api("timeline", timeline_node(line));
  }

  rig.step(ResolveIncident{incident, "user:" + said, said});
  int mails = 0;
  int hooks = 0;
  for (OutboxRow row : rig.outbox) {
    if (row.destination.type == ChannelType::kEmail) {
      write(fmt::format("mail{}.eml", ++mails),
            email_message(row, {"tocsin@example.com", "http://127.0.0.1/ack/x"}));
    } else {
      write(fmt::format("webhook{}.json", ++hooks),
            webhook_body(row, "https://tocsin.example.com", "https://tocsin.example.com/ack/x"));
    }
    item.row = row;
  }
  CHECK(mails >= 2 && hooks >= 2);
  Delivery delivery;
  delivery.detail = hostile;
  api("notification", notification_node(item, {delivery}));
  for (EventRow event : rig.events) {
    event.text = hostile;
    event.subject = hostile;
    write("events.sse", event_text(event));
  }
}

void answer_requests() {
  const io::HttpResponse refused = problem(422, hostile, {{hostile, hostile}});
  write("problem.json", refused.body);
  write("readiness.json", readiness_json({{"store", false, hostile}}));
  std::string head;
  io::HttpResponse response = io::HttpResponse::text(200, "body\n");
  response.headers.push_back({"X-Said", hostile});
  io::append_head(head, response,
                  {.date = "Sat, 21 Nov 2026 03:00:00 GMT",
                   .etag = {},
                   .framing = io::HttpFraming::kLength,
                   .keep = true,
                   .minor_version = 1});
  write("head.http", head + response.body);
}

void log_lines() {
  std::string lines;
  log::set_sink([&](std::string_view line) { lines.append(line).append("\n"); });
  for (const auto format : {log::Format::kText, log::Format::kJson}) {
    log::configure({log::Level::kInfo, format});
    lines.clear();
    log::error("somebody said", {{"text", hostile}, {"again", hostile}, {"count", 1}});
    write(format == log::Format::kText ? "log.line" : "log.json", lines);
  }
  log::set_sink({});
}

/// A collector that says anything: its answers as a terminal shows them.
void show_in_terminal() {
  const Node item = Node::map({{"key", Node::string(hostile)},
                               {"name", Node::string(hostile)},
                               {"status", Node::string(hostile)},
                               {"because", Node::string(hostile)},
                               {"id", Node::string(hostile)},
                               {"region", Node::string(hostile)},
                               {"host", Node::string(hostile)},
                               {"title", Node::string(hostile)},
                               {hostile, Node::list({Node::string(hostile)})}});
  write("ctl.yaml", ctl::print_yaml(item));
  for (const char* collection : {"monitors", "incidents", "agents", "tokens"}) {
    write(fmt::format("ctl.{}.table", collection), ctl::print_table(collection, {item, item}));
  }
  const Node change = Node::map({{"change", Node::string("update")},
                                 {"kind", Node::string("monitor")},
                                 {"key", Node::string(hostile)},
                                 {"fields", Node::list({Node::string(hostile)})}});
  write("ctl.changes.table", ctl::print_changes(Node::list({change, change})));
  const Node agent = Node::map({{"id", Node::string(hostile)},
                                {"region", Node::string(hostile)},
                                {"host", Node::string(hostile)},
                                {"version", Node::string(hostile)}});
  write("agents.table", format_agents(Node::map({{"agents", Node::list({agent, agent})}})));

  Observation seen;
  seen.phases = {.connect_us = 1000, .wait_us = 990, .total_us = 1990};
  seen.remote = hostile;
  seen.tried = {hostile};
  seen.http.emplace();
  seen.http->status = 500;
  seen.http->version = hostile;
  seen.http->headers = {{"server", hostile}, {"location", hostile}, {"content-type", hostile}};
  seen.http->body = hostile;
  seen.tls.emplace();
  seen.tls->subject = seen.tls->issuer = seen.tls->cipher = seen.tls->version = hostile;
  seen.banner = hostile;
  ProbeSpec spec;
  HttpTarget target;
  target.url = hostile;
  spec.target = target;
  const Finding finding{Outcome::kDown, Reason::kAssertBody, hostile};
  const WallTime now{1'795'230'000'000'000};
  write("check.utf8.report", agent::render_report(spec, seen, finding, now, true));
  write("check.ascii.report", agent::render_report(spec, seen, finding, now, false));
  write("check.json", agent::render_json(spec, seen, finding, now));
}

}  // namespace
}  // namespace tocsin

int main(int argc, char** argv) {
  using namespace tocsin;
  if (argc != 2) return 2;
  directory = argv[1];
  hostile.assign(std::istreambuf_iterator<char>{std::cin}, {});
  if (is_valid_utf8(hostile) && hostile.size() <= 200) name = hostile;
  run_incident();
  answer_requests();
  log_lines();
  show_in_terminal();
  return 0;
}

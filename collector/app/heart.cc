#include "collector/app/heart.h"

#include "collector/store/memory_store.h"
#include "collector/store/sqlite_rollup.h"
#include "collector/store/sqlite_store.h"
#include "common/io/log.h"

#include <fmt/format.h>

namespace tocsin::collector {
namespace {

Started<std::unique_ptr<Store>> open_store(const CollectorConfig& config, Duration lock_patience) {
  switch (config.store) {
    case StoreType::kMemory:
      return std::make_unique<MemoryStore>(MemoryStore::Options{});
    case StoreType::kSqlite:
      break;
  }
  SqliteStore::Options options;
  options.directory = config.state_dir;
  auto store = SqliteStore::open(options);
  if (!store && store.error().code == Errc::kUnavailable && lock_patience > Duration{0}) {
    log::info("waiting for another tocsin-collector to end", {{"state_dir", config.state_dir}});
    options.lock_patience = lock_patience;
    store = SqliteStore::open(options);
  }
  if (!store) return tl::unexpected(start_error(store.error()));
  return *std::move(store);
}

const char* word_of(ChangeKind kind) {
  switch (kind) {
    case ChangeKind::kCreate:
      return "created";
    case ChangeKind::kUpdate:
      return "updated";
    case ChangeKind::kDelete:
      return "deleted";
  }
  return "?";
}

}  // namespace

ApplyCatalog apply_event(const MonitorsFile& file) { return {file.edit, "monitors_file"}; }

std::vector<std::string> reply_errors(const MonitorsFile& file, const Reply& reply) {
  if (!reply.fields.empty()) return locate_errors(file, reply.fields);
  if (reply.error) return {fmt::format("{}: {}", file.path, reply.error->text)};
  return {};
}

void log_changes(const Reply& reply) {
  for (const CatalogChange& change : reply.changes) {
    std::string fields;
    for (const std::string& field : change.fields) fields += (fields.empty() ? "" : " ") + field;
    log::info("monitors file applied", {{"change", word_of(change.kind)},
                                        {"what", to_string(change.what)},
                                        {"key", change.key},
                                        {"fields", fields}});
  }
}

Started<std::unique_ptr<Heart>> Heart::open(const CollectorConfig& config, Ports ports,
                                            Duration lock_patience) {
  auto store = open_store(config, lock_patience);
  if (!store) return tl::unexpected(store.error());
  std::unique_ptr<Heart> heart(new Heart());
  heart->store_ = std::make_unique<StoreThread>(*std::move(store), StoreThread::Options{});
  auto engine = EngineThread::start(EngineThread::Options{},
                                    {*heart->store_, ports.link, heart->clock_,
                                     std::move(ports.wake_outbox), std::move(ports.publish)});
  if (!engine) return tl::unexpected(start_error(engine.error()));
  heart->engine_ = *std::move(engine);
  return heart;
}

Reply Heart::ask(Event event) {
  // Shared with the answer, which comes on another thread.
  auto answers = std::make_shared<io::Mailbox<Reply>>(1);
  EngineInput input{std::move(event),
                    [answers](Reply reply) { CHECK(answers->push(std::move(reply))); }};
  if (!engine_->push(std::move(input))) {
    return Reply{Error{Errc::kUnavailable, "the engine is full or stopping"}, {}, {}};
  }
  while (true) {
    if (auto reply = answers->pop(std::chrono::seconds{60})) return *std::move(reply);
  }
}

std::vector<std::string> Heart::apply_monitors(const CollectorConfig& config, WallTime now) {
  if (config.monitors_file.empty()) return {};
  const auto file = read_monitors_file(config.monitors_file, now);
  if (!file) return file.error();
  const Reply reply = ask(apply_event(*file));
  auto errors = reply_errors(*file, reply);
  if (errors.empty()) log_changes(reply);
  return errors;
}

Started<std::unique_ptr<StoreReader>> Heart::open_reader(const CollectorConfig& config) const {
  if (config.store == StoreType::kMemory) return std::unique_ptr<StoreReader>{};
  auto reader = SqliteReader::open(config.state_dir);
  if (!reader) return tl::unexpected(start_error(reader.error()));
  return *std::move(reader);
}

Started<std::function<void()>> Heart::open_maintenance(const CollectorConfig& config) const {
  if (config.store == StoreType::kMemory) return std::function<void()>{};
  SqliteMaintainer::Options options;
  options.directory = config.state_dir;
  auto opened = SqliteMaintainer::open(options);
  if (!opened) return tl::unexpected(start_error(opened.error()));
  // std::function wants something copyable; there is one owner, the query thread.
  std::shared_ptr<SqliteMaintainer> maintainer = *std::move(opened);
  return [maintainer] {
    if (const auto report = maintainer->maintain(); !report) {
      log::warning("the database was not tidied", {{"error", report.error()}});
    }
  };
}

Started<std::function<bool()>> Heart::open_rollup(const CollectorConfig& config) const {
  if (config.store == StoreType::kMemory) return std::function<bool()>{};
  auto opened = SqliteRollup::open({.directory = config.state_dir});
  if (!opened) return tl::unexpected(start_error(opened.error()));
  std::shared_ptr<SqliteRollup> rollup = *std::move(opened);
  return [rollup] {
    const auto report = rollup->roll_up();
    if (!report) {
      // Commits go first; between two of them there is a place soon.
      if (report.error().code == Errc::kUnavailable) return true;
      log::warning("results were not rolled up", {{"error", report.error()}});
      return false;
    }
    if (report->unreadable > 0) {
      log::warning("results cannot be read", {{"count", report->unreadable}});
    }
    return report->more;
  };
}

}  // namespace tocsin::collector

#pragma once
// Question answered here: who reads the store for pages, and who keeps its file tidy?
//
// The thread `query` answers what the API asks of the store (QueryPort). Beside that, every
// kMaintainEvery it runs the store's maintenance, every kRollUpEvery it adds new results to the
// rollups of phases, every kUptimeEvery it folds the verdicts of all monitors into the table of
// status pages, and soon after incidents changed it reads the past ones for them. All wait for
// nobody; nobody waits for them.

#include "collector/ports/query_port.h"
#include "collector/ports/store.h"
#include "collector/ports/view_source.h"
#include "common/base/clock.h"
#include "common/io/mailbox.h"

#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <variant>
#include <vector>

namespace tocsin::collector {

class QueryThread final : public QueryPort {
 public:
  /// Jobs and lists of monitors that wait; beyond it `try_read` says false.
  static constexpr std::size_t kJobsMax = 256;

  static constexpr Duration kMaintainEvery = std::chrono::seconds{2};
  /// As often as maintenance while there is more than one call takes.
  static constexpr Duration kRollUpEvery = std::chrono::minutes{5};
  static constexpr Duration kUptimeEvery = std::chrono::seconds{60};
  /// From a change of incidents to reading them: many changes are read once.
  static constexpr Duration kHistoryAfter = std::chrono::milliseconds{500};

  struct Ports {
    /// Read on this thread alone; null: nothing to read (the memory store).
    std::unique_ptr<StoreReader> reader;
    /// May be empty.
    std::function<void()> maintain;
    /// May be empty. True: there is more to do.
    std::function<bool()> roll_up;
    /// Called on this thread.
    std::function<void(std::shared_ptr<const UptimeTable>)> publish;
    /// Called on this thread.
    std::function<void(std::shared_ptr<const PageHistory>)> publish_history;
    Clock& clock;  ///< Of this thread alone.
  };

  explicit QueryThread(Ports ports);
  /// Ends after what is under way.
  ~QueryThread() override;
  QueryThread(const QueryThread&) = delete;
  QueryThread& operator=(const QueryThread&) = delete;

  /// Which monitors there are; from any thread. A new one is folded soon.
  void set_monitors(std::vector<MonitorId> monitors);

  /// An incident was opened or resolved; from any thread.
  void incidents_changed();

  [[nodiscard]] bool try_read(Job&& job) override;

 private:
  struct LookBack {};

  using Order = std::variant<std::vector<MonitorId>, Job, LookBack>;

  void loop();
  void take(Order order);
  void fold();
  void look_back();

  Ports ports_;
  io::Mailbox<Order> told_{kJobsMax};
  std::vector<MonitorId> monitors_;
  std::map<MonitorId, MonitorStatus> last_known_;
  MonoTime maintain_at_;
  MonoTime roll_up_at_;
  MonoTime fold_at_;
  MonoTime look_back_at_ = MonoTime::never();
  std::thread thread_;
};

}  // namespace tocsin::collector

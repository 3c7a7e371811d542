// docs/store.md is true: every query in it is run against a store with known rows, and the answer
// compared with the block that follows.

#include "collector/store/sqlite_db.h"
#include "collector/store/sqlite_store.h"
#include "common/wire/frame.h"
#include "common/wire/result.h"
#include "tests/contract/sample_rows.h"

#include <gtest/gtest.h>

#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace tocsin::collector {
namespace {

struct Example {
  int line = 0;
  std::string sql;
  std::string answer;
};

/// The ```sql blocks, each with the ```text block right after it.
std::vector<Example> examples() {
  std::ifstream file{"docs/store.md"};
  EXPECT_TRUE(file.good());
  std::vector<Example> out;
  std::string line;
  std::string* block = nullptr;
  for (int number = 1; std::getline(file, line); ++number) {
    if (line == "```sql") {
      out.push_back({number, "", ""});
      block = &out.back().sql;
    } else if (line == "```text") {
      EXPECT_FALSE(out.empty());
      block = &out.back().answer;
    } else if (line.starts_with("```")) {
      block = nullptr;
    } else if (block != nullptr) {
      *block += line + "\n";
    }
  }
  return out;
}

/// As the sqlite3 shell prints it.
std::string answer_of(SqliteDb& db, const std::string& sql) {
  auto select = db.prepare(sql);
  if (!select) return select.error().text;
  std::string out;
  std::vector<Value> values;
  while (true) {
    const auto row = select->step();
    if (!row) return row.error().text;
    if (!*row) return out;
    select->columns(values);
    for (std::size_t i = 0; i < values.size(); ++i) {
      out += (i == 0 ? "" : "|") + select->column_text(static_cast<int>(i));
    }
    out += "\n";
  }
}

CommitGroup documented_group() {
  std::vector<Row> rows;
  for (Row& row : sample::loaded_rows()) {
    // The example's series is the one of its results.
    if (const auto* series = std::get_if<SeriesRow>(&row); series != nullptr) {
      if (series->series != SeriesId{12}) continue;
    }
    rows.push_back(std::move(row));
  }
  rows.emplace_back(sample::row(sample::result(12, 5)));
  rows.emplace_back(sample::row(sample::failed_result(12, 6)));
  rows.emplace_back(sample::row(sample::missed_run(12, 7, 9)));
  rows.emplace_back(sample::outbox(1));
  CommitGroup group = sample::commit(1, std::move(rows));
  StreamId stream;
  stream.agent = sample::id<AgentId>(7);
  Bytes frame{as_view(stream.agent.bytes)};
  frame += wire::encode_results_frame(stream, 1, wire::genesis(stream), {sample::result(12, 5)});
  group.journal = {sample::entry(JournalEntry::Kind::kFrame, std::move(frame))};
  return group;
}

TEST(StoreDoc, EveryQueryAnswersAsThePageSays) {
  std::string directory = std::filesystem::temp_directory_path() / "tocsin-doc-XXXXXX";
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  {
    auto store = SqliteStore::open({.directory = directory});
    ASSERT_TRUE(store) << store.error().text;
    ASSERT_TRUE((*store)->commit(documented_group()));
    ASSERT_EQ((*store)->claim_outbox(sample::kStart + std::chrono::minutes{1}, 10, 30s)->size(),
              1U);
    auto db = SqliteDb::open(directory + "/" + kSqliteFile, SqliteDb::Mode::kReader, 1s);
    ASSERT_TRUE(db) << db.error().text;
    const std::vector<Example> all = examples();
    EXPECT_GE(all.size(), 10U);
    for (const Example& example : all) {
      EXPECT_EQ(answer_of(**db, example.sql), example.answer) << "docs/store.md:" << example.line;
    }
  }
  std::filesystem::remove_all(directory);
}

TEST(StoreDoc, TheBytesOfTheDocumentedResultDecode) {
  for (const Example& example : examples()) {
    if (example.sql.find("hex(result)") == std::string::npos) continue;
    Bytes bytes;
    for (std::size_t i = 0; i + 1 < example.answer.size(); i += 2) {
      const char* digits = example.answer.data() + i;
      unsigned value = 0;
      ASSERT_EQ(std::from_chars(digits, digits + 2, value, 16).ptr, digits + 2);
      bytes += static_cast<char>(value);
    }
    const auto result = wire::decode_result(as_bytes(bytes));
    ASSERT_TRUE(result) << result.error().text;
    EXPECT_EQ(*result, sample::result(12, 5));
    return;
  }
  FAIL() << "docs/store.md shows no result";
}

}  // namespace
}  // namespace tocsin::collector

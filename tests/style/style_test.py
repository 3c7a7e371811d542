#!/usr/bin/env python3
"""The linters find what they are for: planted violations, and clean text that must pass."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import headers  # noqa: E402
import layers  # noqa: E402
import paths  # noqa: E402
import source  # noqa: E402
import style  # noqa: E402


def layer_errors(path, text, exceptions=None):
    report = layers.Report()
    layers.check_file(path, text, report, exceptions=exceptions)
    return report.errors


def rules_hit(path, text):
    return {e.split(": ")[1] for e in style.check_rules(path, text) + style.check_shape(path, text)}


class SplitCode(unittest.TestCase):
    def test_comments_and_strings_are_no_code(self):
        text = 'int a;  // sleep(1)\n/* rand() */ const char* s = "std::mutex \\" x"; char c = \'"\';\n'
        code, comments = source.split_code(text)
        for word in ("sleep", "rand", "mutex"):
            self.assertNotIn(word, code)
        self.assertIn("sleep(1)", comments)
        self.assertIn("int a;", code)
        self.assertEqual(len(code), len(text))
        self.assertEqual(code.count("\n"), text.count("\n"))

    def test_raw_strings_end_at_their_own_delimiter(self):
        code, _ = source.split_code('auto s = R"x(sleep(1) )" )x"; int after;')
        self.assertNotIn("sleep", code)
        self.assertIn("int after;", code)

    def test_digit_separators_are_no_character_literals(self):
        code, _ = source.split_code("int a = 1'000'000; sleep(1); int b = 2'000;")
        self.assertIn("sleep(1)", code)

    def test_an_included_name_stays(self):
        code, _ = source.split_code('#include "common/base/time.h"\n')
        self.assertIn("common/base/time.h", code)


class Layers(unittest.TestCase):
    def test_the_table_has_no_cycle_and_keeps_the_daemons_apart(self):
        self.assertEqual(layers.check_table(), [])

    def test_a_table_in_which_two_layers_see_each_other_is_refused(self):
        table = {"common/a": layers.Layer(("common/b",)), "common/b": layers.Layer(("common/a",)),
                 "agent/x": layers.Layer(("collector/y",)), "collector/y": layers.Layer(())}
        self.assertEqual(len(layers.check_table(table)), 3)

    def test_upward_includes_are_found(self):
        for path, include in (("common/base/a.h", "common/model/slots.h"),
                              ("common/model/a.h", "common/codec/node.h"),
                              ("agent/core/a.cc", "common/wire/frame.h"),
                              ("collector/core/a.cc", "common/io/file.h"),
                              ("agent/probe/a.cc", "agent/spool/frame_writer.h"),
                              ("collector/api/a.cc", "collector/store/sqlite_store.h"),
                              ("agent/app/a.cc", "collector/core/engine.h"),
                              ("common/io/a.cc", "agent/core/conductor.h")):
            self.assertEqual(len(layer_errors(path, f'#include "{include}"\n')), 1, (path, include))

    def test_downward_includes_pass(self):
        for path, include in (("common/codec/a.cc", "common/model/slots.h"),
                              ("common/assert/a.cc", "common/model/assertion.h"),
                              ("collector/ports/catalog_node.cc", "common/codec/node.h"),
                              ("agent/app/main.cc", "agent/uplink/uplink.h"),
                              ("tests/unit/a.cc", "collector/core/engine.h")):
            self.assertEqual(layer_errors(path, f'#include "{include}"\n'), [], (path, include))

    def test_third_party_where_it_must_not_be_is_found(self):
        for path, include in (("agent/core/a.cc", "event2/event.h"),
                              ("collector/core/a.cc", "unistd.h"),
                              ("collector/api/a.cc", "sqlite3.h"),
                              ("common/model/a.cc", "nlohmann/json.hpp"),
                              ("common/io/a.h", "zmq.h"),
                              ("common/wire/a.h", "tocsin/v1/link.pb.h"),
                              ("common/io/a.cc", "boost/asio.hpp")):
            self.assertEqual(len(layer_errors(path, f"#include <{include}>\n")), 1, (path, include))

    def test_a_file_outside_every_layer_and_a_relative_include_are_found(self):
        self.assertEqual(len(layer_errors("common/misc/a.h", "")), 1)
        self.assertEqual(len(layer_errors("common/io/a.cc", '#include "file.h"\n')), 1)
        self.assertEqual(len(layer_errors("common/io/a.cc", "#include <common/base/time.h>\n")), 1)

    def test_an_include_in_a_comment_is_none(self):
        self.assertEqual(layer_errors("agent/core/a.cc", "// #include <zmq.h>\n"), [])

    def test_an_exception_allows_one_file_and_must_be_used(self):
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            (root / "common/codec").mkdir(parents=True)
            (root / "common/codec/http1.cc").write_text("#include <llhttp.h>\n")
            used = {("common/codec/http1.cc", "llhttp"): "reason"}
            self.assertEqual(layers.check_tree(root, used).errors, [])
            (root / "common/codec/http1.h").write_text("#include <llhttp.h>\n")
            self.assertEqual(len(layers.check_tree(root, used).errors), 1)
            both = dict(used) | {("common/codec/http1.h", "llhttp"): "reason"}
            self.assertEqual(layers.check_tree(root, both).errors, [])
            (root / "common/codec/http1.h").unlink()
            unused = dict(used) | {("common/codec/url.cc", "re2"): "reason"}
            errors = layers.check_tree(root, unused).errors
            self.assertEqual(len(errors), 1)
            self.assertIn("not used", errors[0])


class Style(unittest.TestCase):
    def test_each_banned_thing_is_found_and_names_its_replacement(self):
        planted = {
            "clock": ["auto t = std::chrono::system_clock::now();", "steady_clock :: now()",
                      "clock_gettime(CLOCK_REALTIME, &ts);", "auto t = std::time(nullptr);"],
            "sleep": ["sleep(1);", "std::this_thread::sleep_for(1s);", "usleep (3);"],
            "chance": ["int a = rand();", "std::srand(1);", "std::random_device d;"],
            "mutex": ["std::mutex m;", "std::lock_guard<std::mutex> l(m);"],
            "format": ["#include <format>", 'std::format("{}", 1);'],
            "expected": ["std::expected<int, Error> f();"],
            "catch-all": ["try { f(); } catch (...) { }"],
            "throw": ["throw std::runtime_error(x);"],
            "assert": ["assert(x > 0);"],
            "stdout": ["std::cout << 1;"],
            "banner": ["// ------------", "//////  ================"],
            "todo": ["// TODO: later", "// FIXME(me): later"],
        }
        for rule, lines in planted.items():
            for line in lines:
                self.assertIn(rule, rules_hit("agent/core/a.cc", line + "\n"), line)
        for rule in style.RULES:
            self.assertGreater(len(rule.message), 10)

    def test_the_replacements_themselves_may(self):
        self.assertEqual(style.check_rules("common/base/clock.cc", "clock_gettime(id, &ts);"), [])
        self.assertEqual(style.check_rules("common/io/mailbox.h", "std::mutex mutex_;"), [])

    def test_what_only_looks_like_it_passes(self):
        for line in ("plan.time(0);", "// sleep(1) would be wrong here", 'log("rand()");',
                     "// TODO(#12): the next issue", "// state      -------------", "operand(1);", "static_assert(sizeof(int) == 4);",
                     "co.brand(2);", "auto x = clock_.now();"):
            self.assertEqual(style.check_rules("agent/core/a.cc", line + "\n"), [], line)

    def test_headers_need_pragma_once_and_no_using_namespace(self):
        self.assertEqual(rules_hit("common/base/a.h", "namespace tocsin {}\n"), {"pragma-once"})
        self.assertEqual(rules_hit("common/base/a.h", "#pragma once\nusing namespace std;\n"),
                         {"using-namespace"})

    def test_long_lines_tabs_and_trailing_blanks_are_found_but_not_urls(self):
        self.assertEqual(rules_hit("common/base/a.cc", "int " + "a" * 100 + ";\n"), {"columns"})
        self.assertEqual(rules_hit("common/base/a.cc", "// https://example.com/" + "a" * 100 + "\n"),
                         set())
        self.assertEqual(rules_hit("common/base/a.cc", "\tint a; \n"), {"tab", "space"})
        self.assertEqual(rules_hit("common/base/a.cc", "int a;"), {"newline"})

    def test_paths_of_one_machine_are_found(self):
        for bad in ("/home/ann/x", "/root/x", "/work/main", "/tmp/run/x", '"/Users/ann/src"'):
            self.assertEqual(len(style.check_machine_paths("README.md", f"see {bad} ok")), 1, bad)
        for fine in ("/tmp/tocsin-XXXXXX/x", "/var/lib/tocsin-agent", "https://x.test/home/a",
                     "build/root/x", "a/work/b", "the /root of it"):
            self.assertEqual(style.check_machine_paths("README.md", f"see {fine} ok"), [], fine)

    def test_function_lengths_are_counted(self):
        code = "int f(int a) {\n  if (a) {\n    return 1;\n  }\n  return 2;\n}\n\nvoid A::g() {\n}\n"
        self.assertEqual([(n, name) for n, _, name in style.functions(code)], [(6, "f"), (2, "A::g")])


class Headers(unittest.TestCase):
    def test_a_header_that_lacks_an_include_is_found_and_good_ones_are_remembered(self):
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            (root / "common").mkdir()
            (root / "common/good.h").write_text("#pragma once\n#include <vector>\n"
                                                "inline std::vector<int> f() { return {}; }\n")
            (root / "common/bad.h").write_text("#pragma once\ninline std::vector<int> g();\n")
            errors, total, compiled = headers.check_tree(root, root / "build", "g++")
            self.assertEqual((len(errors), total, compiled), (1, 2, 2))
            self.assertIn("common/bad.h", errors[0])
            (root / "common/bad.h").write_text("#pragma once\n#include <vector>\n"
                                               "std::vector<int> g();\n")
            self.assertEqual(headers.check_tree(root, root / "build", "g++"), ([], 2, 1))
            self.assertEqual(headers.check_tree(root, root / "build", "g++"), ([], 2, 0))

    def test_a_change_below_a_header_compiles_it_again(self):
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            (root / "common").mkdir()
            (root / "common/a.h").write_text('#pragma once\n#include "common/b.h"\ninline B f();\n')
            (root / "common/b.h").write_text("#pragma once\nstruct B {};\n")
            self.assertEqual(headers.check_tree(root, root / "build", "g++")[0], [])
            (root / "common/b.h").write_text("#pragma once\nstruct C {};\n")
            errors, _, compiled = headers.check_tree(root, root / "build", "g++")
            self.assertEqual((len(errors), compiled), (1, 2))


class Paths(unittest.TestCase):
    def test_names_of_nothing_are_found_and_real_ones_pass(self):
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            (root / "common/base").mkdir(parents=True)
            (root / "docs").mkdir()
            (root / "common/base/time.h").write_text("")
            (root / "docs/wire.md").write_text("")
            good = "`common/base/time.h` `common/base/time` `common/base` [w](wire.md) and docs/wire.md"
            self.assertEqual(paths.check_text(root, "docs/a.md", good), [])
            bad = "`common/base/tome.h` [w](store.md) and docs/store.md"
            self.assertEqual(len(paths.check_text(root, "docs/a.md", bad)), 3)
            shown = "```\n`common/base/tome.h`\n```\n[x](https://example.com/y)\n"
            self.assertEqual(paths.check_text(root, "docs/a.md", shown), [])

    def test_a_limit_must_stand_in_the_file_it_names(self):
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            (root / "common").mkdir()
            (root / "common/a.h").write_text("constexpr int kHereMax = 1;\n")
            row = "| x | 1 | refused | `{}` | `common/a.h` |\n"
            self.assertEqual(paths.check_limits(root, row.format("kHereMax")), [])
            self.assertEqual(len(paths.check_limits(root, row.format("kThereMax"))), 1)

    def test_crash_points_and_their_table_agree(self):
        code = ['TOCSIN_CRASH_POINT("spool.sync.before");', 'TOCSIN_CRASH_POINT("a.b.c");']
        self.assertEqual(len(paths.check_crash_points(code, "`spool.sync.before` `x.y.z`")), 2)
        self.assertEqual(paths.check_crash_points(code, "`spool.sync.before` `a.b.c`"), [])


class Files(unittest.TestCase):
    def test_ignored_files_are_left_out_and_new_ones_are_seen(self):
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            subprocess.run(["git", "init", "-q", name], check=True)
            (root / ".gitignore").write_text("/build/\n")
            for path in ("build/common/x.h", "common/new.h"):
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text("#pragma once\n")
            self.assertEqual(source.code_files(root), ["common/new.h"])


if __name__ == "__main__":
    unittest.main()

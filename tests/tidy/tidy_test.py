#!/usr/bin/env python3
"""Proves that each rule of tidy.py bites, and lets pass what it should."""

import pathlib
import subprocess
import tempfile
import unittest

import tidy

ROOT = pathlib.Path(__file__).resolve().parents[2]


def sentences(rule, path, text):
    return [f"{number}: {sentence}" for number, sentence in rule(tidy.File(path, text))]


def function_of(lines, head="int f() {"):
    return head + "\n" + "  g();\n" * (lines - 2) + "}\n"


class FileRules(unittest.TestCase):
    def bites(self, rule, path, text, expected):
        found = sentences(rule, path, text)
        self.assertEqual(len(found), 1, found)
        self.assertIn(expected, found[0])

    def passes(self, rule, path, text):
        self.assertEqual(sentences(rule, path, text), [])

    def test_includes_go_leftwards_only(self):
        rule = tidy.rule_include_arrows
        self.bites(rule, "domain/a.cpp", '\n#include "infra/log.hpp"\n',
                   "2: includes infra/log.hpp; domain may include only domain/")
        self.bites(rule, "projections/a.hpp", '#include "api/app.hpp"\n', "projections may include")
        self.bites(rule, "infra/a.hpp", '#include "api/app.hpp"\n', "infra may include only")
        self.bites(rule, "api/a.cpp", '#include "tests/a.hpp"\n', "may not depend on tests/")
        self.bites(rule, "api/a.cpp", '#include "app.hpp"\n', "by their path from the root")
        self.bites(rule, "api/a.cpp", "#include <domain/ids.hpp>\n", "included with quotes")
        self.passes(rule, "api/a.cpp", '#include "domain/ids.hpp"\n#include "api/app.hpp"\n')
        self.passes(rule, "infra/a.cpp", '#include "projections/fold.hpp"\n')
        self.passes(rule, "tests/api/a.cpp", '#include "infra/log.hpp"\n#include <vector>\n')

    def test_domain_and_projections_are_pure(self):
        rule = tidy.rule_pure_layers
        for name in ("mutex", "fstream", "random", "boost/asio.hpp", "spdlog/spdlog.h", "unistd.h"):
            self.bites(rule, "domain/a.cpp", f"#include <{name}>\n", "domain is pure")
            self.bites(rule, "projections/a.hpp", f"#include <{name}>\n", "projections is pure")
        self.bites(rule, "domain/a.cpp", "auto t = std::chrono::system_clock::now();\n", "a clock")
        self.passes(rule, "domain/a.cpp", "#include <chrono>\n#include <boost/json/value.hpp>\n")
        self.passes(rule, "domain/a.cpp", "// never calls system_clock::now\n")
        self.passes(rule, "infra/a.cpp", "#include <mutex>\n")
        self.bites(rule, "domain/a.cpp", "#include <openssl/evp.h>\n", "domain is pure")
        self.passes(rule, next(iter(tidy.HASHING_ALLOWED)), "#include <openssl/evp.h>\n")

    def test_databases_stay_in_the_sources_of_infra(self):
        rule = tidy.rule_hidden_libraries
        for name in ("rocksdb/db.h", "librdkafka/rdkafka.h"):
            self.bites(rule, "infra/a.hpp", f"#include <{name}>\n", "only sources of infra may")
            self.bites(rule, "api/a.cpp", f"#include <{name}>\n", "only sources of infra may")
            self.passes(rule, "infra/a.cpp", f"#include <{name}>\n")
            self.passes(rule, "tests/infra/a_test.cpp", f"#include <{name}>\n")

    def test_names_that_nothing_uses(self):
        rule = tidy.rule_unused_names
        for line in ("using std::vector;", "using a::b::vector;", "namespace vector = a::b;",
                     "using vector = std::set<int>;"):
            self.bites(rule, "api/a.cpp", line + "\n", "nothing here uses the name vector")
            self.passes(rule, "api/a.cpp", line + "\nvector x;\n")
            self.passes(rule, "api/a.hpp", line + "\n")
        self.passes(rule, "api/a.cpp", "using namespace a;\n")

    def test_internal_headers_of_infra_are_its_own(self):
        rule = tidy.rule_hidden_libraries
        header = next(iter(tidy.INFRA_INTERNAL))
        self.bites(rule, "api/a.cpp", f'#include "{header}"\n', "which is infra's own")
        self.passes(rule, "infra/a.cpp", f'#include "{header}"\n')
        self.passes(rule, header, "#include <rocksdb/db.h>\n")

    def test_beast_is_included_where_it_is_allowed_only(self):
        rule = tidy.rule_hidden_libraries
        self.bites(rule, "api/router.cpp", "#include <boost/beast/http.hpp>\n", "Beast is costly")
        self.passes(rule, next(iter(tidy.BEAST_ALLOWED)), "#include <boost/beast/http.hpp>\n")

    def test_headers_are_included_once(self):
        self.bites(tidy.rule_pragma_once, "domain/a.hpp", "int f();\n", "#pragma once")
        self.passes(tidy.rule_pragma_once, "domain/a.hpp", "#pragma once\nint f();\n")
        self.passes(tidy.rule_pragma_once, "domain/a.cpp", "int f();\n")

    def test_lines_are_short(self):
        self.bites(tidy.rule_line_length, "api/a.cpp", "x" * 101 + "\n", "1: has 101 columns")
        self.bites(tidy.rule_line_length, "dev", "\n" + "x" * 101, "2: has 101 columns")
        self.passes(tidy.rule_line_length, "api/a.cpp", "ü" * 100 + "\n")
        self.passes(tidy.rule_line_length, "README.md", "x" * 200)

    def test_files_are_short(self):
        self.bites(tidy.rule_file_length, "api/a.cpp", "x\n" * 501, "has 501 lines")
        self.passes(tidy.rule_file_length, "api/a.cpp", "x\n" * 500)

    def test_text_is_tidy(self):
        rule = tidy.rule_text_form
        self.bites(rule, "api/a.cpp", "int a; \n", "blanks")
        self.bites(rule, "api/a.cpp", "int a;\r\n", "carriage return")
        self.bites(rule, "api/a.cpp", "\tint a;\n", "a tab")
        self.bites(rule, "api/a.cpp", "int a;", "end with a newline")
        self.passes(rule, "api/a.cpp", "int a;\n")

    def test_nothing_is_left_for_later(self):
        for word in ("FIX" + "ME", "TO" + "DO", "X" * 3, "HA" + "CK"):
            self.bites(tidy.rule_unfinished, "README.md", f"see {word}: it\n", f"says {word}")
        self.passes(tidy.rule_unfinished, "dev", "mktemp contactd-" + "X" * 6 + "\n")

    def test_tests_do_not_sleep_and_are_not_switched_off(self):
        rule = tidy.rule_honest_tests
        self.bites(rule, "tests/a_test.cpp", "std::this_thread::sleep_for(1s);\n", "sleeps")
        self.bites(rule, "tests/a_test.cpp", "::sleep(1);\n", "sleeps")
        self.bites(rule, "tests/a_test.cpp", "TEST(A, DISABLED" + "_B) {}\n", "switches a test off")
        self.passes(rule, "tests/a_test.cpp", "// no sleep_for here\n")
        self.passes(rule, "infra/a.cpp", "std::this_thread::sleep_for(1s);\n")


class FunctionLength(unittest.TestCase):
    def lengths(self, text):
        return [last - first + 1 for first, last in tidy.functions(tidy.code_of(text))]

    def test_more_than_seventy_lines_are_too_many(self):
        rule = tidy.rule_function_length
        self.assertEqual(sentences(rule, "api/a.cpp", function_of(70)), [])
        found = sentences(rule, "api/a.cpp", "\n" + function_of(71))
        self.assertEqual(found, ["2: is a function of 71 lines; at most 70"])

    def test_heads_of_every_kind_are_functions(self):
        for head in ("int f() {", "void C::f(int a) const noexcept {", "auto f() -> int {",
                     "C::C(int a) : a_{a}, b_{{1, 2}} {", "C::C() : Base(1), a_(f({1})) {",
                     "TEST(A, B) {", "template <class T>\nvoid f(T t) {", "C::~C() {",
                     "bool operator==(const C& a, const C& b) {", "auto f = [](int a) {",
                     "asio::awaitable<void> C::f(std::map<int, int> m = {}) && {",
                     "struct C f(const struct D& d) {", "void f()\n  requires Small<int> {",
                     "template <class T>\nrequires(sizeof(T) < 4)\nvoid f() {"):
            self.assertEqual(self.lengths(function_of(5, head)), [5 + head.count("\n")], head)

    def test_scopes_are_looked_into(self):
        for scope in ("namespace a::b {", "namespace {", "class C final : public D<int> {",
                      "struct alignas(64) C {", "template <class T>\nstruct C {", 'extern "C" {'):
            text = scope + "\n public:\n" + function_of(4) + function_of(6) + "};\n"
            self.assertEqual(self.lengths(text), [4, 6], scope)

    def test_values_are_no_functions(self):
        for text in ("int a{\n1\n};\n", "const T t = {\n{1},\n{2},\n};\n",
                     "enum class E {\na,\n};\n", "auto a = f({\n1,\n});\n"):
            self.assertEqual(self.lengths(text + function_of(4)), [4], text)

    def test_braces_in_text_do_not_count(self):
        text = 'int f() {\n  g("}", \'}\', R"x(})x");  // }\n  /* } */\n  int n = 1\'000;\n}\n'
        self.assertEqual(self.lengths(text + function_of(3)), [5, 3])


class TreeRules(unittest.TestCase):
    def tree(self, files):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        root = pathlib.Path(folder.name)
        subprocess.run(["git", "init", "-q", str(root)], check=True)
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
        return tidy.Tree(root)

    def found(self, rule, files):
        return [f"{path}:{number}: {sentence}" for path, number, sentence in rule(self.tree(files))]

    def test_every_source_is_in_a_target(self):
        files = {"infra/CMakeLists.txt": "add_library(x\n  log.cpp\n  kafka/a.cpp\n  # b.cpp\n)\n",
                 "cmake/x.cmake": "add_library(x cmake/asio.cpp)\n",
                 "infra/log.cpp": "", "infra/kafka/a.cpp": "", "cmake/asio.cpp": ""}
        self.assertEqual(self.found(tidy.rule_every_source_is_built, files), [])
        files["infra/b.cpp"] = ""
        files["api/log.cpp"] = ""
        self.assertEqual(len(self.found(tidy.rule_every_source_is_built, files)), 2)

    def test_links_lead_somewhere(self):
        files = {"README.md": "[a](docs/a.md) [b](docs/a.md#the-why) [c](#top) ![i](b.png)\n# Top\n"
                              "[web](https://example.com/x) `[no](link)`\n```\n[no](link)\n```\n",
                 "docs/a.md": "# The *why*\n[back](../README.md)\n", "b.png": ""}
        rule = tidy.rule_links_resolve
        self.assertEqual(self.found(rule, files), [])
        for bad in ("[a](docs/b.md)", "[a](docs/a.md#how)", "[a](#bottom)", "[a](../outside)",
                    "[ref]: missing.md"):
            found = self.found(rule, {**files, "BAD.md": f"\n{bad}\n"})
            self.assertEqual(len(found), 1, bad)
            self.assertTrue(found[0].startswith("BAD.md:2: links to "), found)

    def test_claims_name_tests_that_are_there(self):
        rule = tidy.rule_claims_name_their_tests
        table = "| claim | test |\n|---|---|\n"
        test = {"tests/api/a_test.cpp": "TEST_F(Keys, Hold) {}\nTEST(Tls, Works) {}\n"}
        good = table + "| they hold | `Keys.Hold`, `Tls.Works` |\n\n| no | claim |\n"
        self.assertEqual(self.found(rule, {**test, "SECURITY.md": good}), [])
        self.assertEqual(self.found(rule, test), [])
        for bad, expected in (("| they hold | `Keys.Held` |\n", "SECURITY.md:3: names the test"),
                              ("| they hold | believe me |\n", "SECURITY.md:3: claims something")):
            found = self.found(rule, {**test, "SECURITY.md": table + bad})
            self.assertEqual(len(found), 1, found)
            self.assertTrue(found[0].startswith(expected), found)

    def test_an_exception_that_is_not_needed_must_go(self):
        count = len(tidy.INFRA_INTERNAL) + len(tidy.BEAST_ALLOWED) + len(tidy.SLEEP_ALLOWED)
        count += len(tidy.HASHING_ALLOWED)
        found = self.found(tidy.rule_exceptions_are_needed, {"README.md": "\n"})
        self.assertEqual(len(found), count)
        files = {path: "#include <rocksdb/db.h>\n" for path in tidy.INFRA_INTERNAL}
        files.update({path: "#include <boost/beast/http.hpp>\n" for path in tidy.BEAST_ALLOWED})
        files.update({path: "#include <openssl/evp.h>\n" for path in tidy.HASHING_ALLOWED})
        files.update({path: "sleep_for(1s);\n" for path in tidy.SLEEP_ALLOWED})
        self.assertEqual(self.found(tidy.rule_exceptions_are_needed, files), [])

    def test_files_are_found_without_git_too(self):
        with tempfile.TemporaryDirectory() as root:
            for path in ("api/a.cpp", "build/b.cpp"):
                (pathlib.Path(root) / path).parent.mkdir()
                (pathlib.Path(root) / path).write_text("", encoding="utf-8")
            self.assertEqual(tidy.Tree(root).paths, ["api/a.cpp"])

    def test_untracked_files_are_seen_and_ignored_ones_are_not(self):
        tree = self.tree({".gitignore": "/build/\n", "build/a.cpp": "", "api/a.cpp": ""})
        self.assertEqual([file.path for file in tree.files], ["api/a.cpp"])

    def test_every_check_that_is_named_must_run(self):
        program = pathlib.Path(tempfile.mkdtemp()) / "clang-tidy"
        self.addCleanup(program.parent.rmdir)
        self.addCleanup(program.unlink)
        program.write_text("#!/bin/sh\necho 'Enabled checks:\n    bugprone-use-after-move'\n",
                           encoding="utf-8")
        program.chmod(0o755)

        def found(text):
            return list(tidy.rule_lint_checks(self.tree({".clang-tidy": text}), str(program)))

        self.assertEqual(found("Checks: >-\n  -*,\n  bugprone-use-after-move\nX: y\n"), [])
        self.assertEqual(len(found("Checks: >-\n  -*,\n  bugprone-use-after-mov\n")), 1)
        self.assertEqual(len(found("Checks: '-*'\n")), 1)
        self.assertEqual(len(found("WarningsAsErrors: '*'\n")), 1)


class Itself(unittest.TestCase):
    def test_every_rule_runs_and_has_a_test(self):
        rules = {name for name in dir(tidy) if name.startswith("rule_")}
        run = {rule.__name__ for rule in tidy.FILE_RULES + tidy.TREE_RULES}
        self.assertEqual(rules - run, {"rule_lint_checks"})
        tests = pathlib.Path(__file__).read_text(encoding="utf-8")
        self.assertEqual([name for name in sorted(rules) if f"tidy.{name}" not in tests], [])

    def test_a_finding_is_printed_and_fails(self):
        with tempfile.TemporaryDirectory() as root:
            subprocess.run(["git", "init", "-q", root], check=True)
            (pathlib.Path(root) / "a.hpp").write_text("int f();\n", encoding="utf-8")
            run = subprocess.run(["python3", tidy.__file__, "--root", root], capture_output=True,
                                 text=True, check=False)
        self.assertEqual(run.returncode, 1)
        self.assertIn("a.hpp:1: has no #pragma once\n", run.stdout)


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""Checks what the compiler doesn't: layers, lengths, names, links. Standard library only.

    tidy.py [--root DIRECTORY] [--clang-tidy PROGRAM]

Prints `path:line: sentence` for each finding. Exit code 1 if there is any. Each rule is a function
that yields findings for one file or for the whole tree; tidy_test.py proves that each one bites.
"""

import argparse
import pathlib
import re
import subprocess
import sys

LAYERS = ["domain", "projections", "infra", "api"]  # a layer may include itself and those before
COLUMNS_MAX = 100
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 500

# ---- exceptions, each with its reason; one that is no longer needed is a finding itself ---------

# Headers of infra that its own sources share and nobody else may include.
INFRA_INTERNAL = {
    "infra/kafka_handles.hpp": "owners for what librdkafka hands out",
    "infra/rocksdb_open.hpp": "opens both databases, the log's and the projections'",
    "infra/merged_rows.hpp": "lays what is in memory over what is on the disk",
}
# Beast costs 18 seconds a file: these and no others pay.
BEAST_ALLOWED = {
    "api/commands/http_client.cpp": "the client of commands that talk to a server",
    "api/request_reader.cpp": "reads requests",
    "bench/bare_beast.cpp": "the ceiling that the benchmark compares with",
    "bench/seed.cpp": "fills a server before it is measured",
    "cmake/beast.cpp": "compiles Beast once",
    "infra/webhook_client.cpp": "the client that delivers to webhooks",
    "tests/support/http_client.cpp": "the tests' client",
}
# What domain and projections may use beside std.
PURE_LIBRARIES = ("boost/json", "absl/container/", "absl/hash/", "absl/strings/string_view.h")
HASHING_ALLOWED = {
    "domain/sha256.cpp": "the chain of events is made and checked there; hashing is pure",
}
# Where a test has to let time pass.
SLEEP_ALLOWED = {
    "tests/support/eventually.hpp": "between two looks at a condition, which has a limit",
}

# ---- files --------------------------------------------------------------------------------------

CPP = (".cpp", ".hpp")
CODE = CPP + (".py", ".sh", ".cmake", ".js", ".lua")
TEXT = CODE + (".md", ".json", ".yaml", ".yml", ".txt", ".sql", ".supp", ".toml")
MADE = {".git", "__pycache__", "build", "contactd-data", "node_modules"}  # not ours to check
NO_SUFFIX = {"dev", ".ci/run", "Dockerfile", ".clang-format", ".clang-tidy"}


class File:
    def __init__(self, path, text):
        self.path = path  # relative to the root, with slashes
        self.text = text
        self.lines = text.split("\n")

    @property
    def layer(self):
        return self.path.split("/")[0]

    def is_code(self):
        return self.path.endswith(CODE) or self.path in NO_SUFFIX

    def is_text(self):
        return self.path.endswith(TEXT) or self.path in NO_SUFFIX


class Tree:
    """The tracked files of a repository and those about to be."""

    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()
        self.paths = sorted(self._listed())
        self.files = [self._read(path) for path in self.paths if File(path, "").is_text()]
        self.by_path = {file.path: file for file in self.files}

    def _listed(self):
        command = ["git", "-c", f"safe.directory={self.root}", "-C", str(self.root),
                   "ls-files", "-coz", "--exclude-standard"]
        listed = subprocess.run(command, capture_output=True, check=False)
        if listed.returncode == 0:
            found = set(listed.stdout.decode().split("\0")) - {""}
        else:  # an archive without its repository
            found = {str(path.relative_to(self.root)) for path in self.root.rglob("*")}
            found = {path for path in found if not MADE.intersection(path.split("/"))}
        return {path for path in found if (self.root / path).is_file()}

    def _read(self, path):
        return File(path, (self.root / path).read_text(encoding="utf-8", errors="replace"))


# ---- rules of one file: each yields (line, sentence) --------------------------------------------

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')
IMPURE = {"atomic", "condition_variable", "filesystem", "fstream", "future", "iostream", "mutex",
          "random", "semaphore", "shared_mutex", "stop_token", "thread"}
CLOCK = re.compile(r"\b(?:system_clock|steady_clock|high_resolution_clock)::now\b")


def includes(file):
    for number, line in enumerate(file.lines, 1):
        if found := INCLUDE.match(line):
            yield number, found.group(1) == '"', found.group(2)


def is_standard(name):
    return re.fullmatch(r"[a-z_]+", name) is not None


def rule_include_arrows(file):
    """Includes go leftwards: domain <- projections <- infra <- api."""
    if not file.path.endswith(CPP):
        return
    for number, own, name in includes(file):
        target = name.split("/")[0]
        if own and target not in LAYERS + ["tests", "bench"]:
            yield number, f"includes {name}; ours are included by their path from the root"
        elif own and file.layer in LAYERS and target in ["tests", "bench"]:
            yield number, f"includes {name}; {file.layer} may not depend on {target}/"
        elif own and file.layer in LAYERS:
            allowed = LAYERS[: LAYERS.index(file.layer) + 1]
            if target not in allowed:
                may = ", ".join(f"{layer}/" for layer in allowed)
                yield number, f"includes {name}; {file.layer} may include only {may}"
        elif not own and target in LAYERS:
            yield number, f"includes <{name}>; ours are included with quotes"


def rule_pure_layers(file):
    """Domain and projections: std without I/O, threads or chance, Boost.JSON, Abseil's maps; no
    clock."""
    if file.layer not in ("domain", "projections") or not file.path.endswith(CPP):
        return
    for number, own, name in includes(file):
        if own or name.startswith(PURE_LIBRARIES):
            continue
        if name == "openssl/evp.h" and file.path in HASHING_ALLOWED:
            continue
        if not is_standard(name) or name in IMPURE:
            yield number, f"includes <{name}>; {file.layer} is pure: no I/O, threads or chance"
    for number, line in enumerate(code_of(file.text).split("\n"), 1):
        if CLOCK.search(line):
            yield number, f"reads a clock; in {file.layer} the time is an argument"


def rule_hidden_libraries(file):
    """RocksDB and librdkafka stay in infra's sources, Beast in a few."""
    if not file.path.endswith(CPP):
        return
    for number, own, name in includes(file):
        if own and name in INFRA_INTERNAL and file.layer != "infra" and file.layer != "tests":
            yield number, f"includes {name}, which is infra's own"
        if own:
            continue
        if name.split("/")[0] in ("rocksdb", "librdkafka"):
            inside = file.layer == "infra" and file.path.endswith(".cpp")
            allowed = file.layer in ("tests", "bench") or file.path in INFRA_INTERNAL
            if not inside and not allowed:
                yield number, f"includes <{name}>; only sources of infra may"
        if name.startswith("boost/beast") and file.path not in BEAST_ALLOWED:
            yield number, f"includes <{name}>; Beast is costly, only BEAST_ALLOWED in tidy.py may"


def rule_pragma_once(file):
    """Headers say `#pragma once`."""
    if file.path.endswith(".hpp") and not re.search(r"^#pragma once$", file.text, re.MULTILINE):
        yield 1, "has no #pragma once"


NAMING = re.compile(r"^\s*(?:using [\w:]+::(\w+);|(?:namespace|using) (\w+) = )")


def rule_unused_names(file):
    """A using or an alias of a .cpp file. clang-tidy is shown many files as one and misses them."""
    if not file.path.endswith(".cpp"):
        return
    for number, line in enumerate(file.lines, 1):
        if found := NAMING.match(line):
            name = found.group(1) or found.group(2)
            if len(re.findall(rf"\b{name}\b", file.text)) == 1:
                yield number, f"nothing here uses the name {name}; remove the line"


def rule_line_length(file):
    """Lines of code have at most 100 columns."""
    if not file.is_code():
        return
    for number, line in enumerate(file.lines, 1):
        if len(line) > COLUMNS_MAX:
            yield number, f"has {len(line)} columns; at most {COLUMNS_MAX}"


def rule_file_length(file):
    """Files of code have at most 500 lines."""
    count = len(file.lines) - (1 if file.text.endswith("\n") else 0)
    if file.is_code() and count > FILE_LINES_MAX:
        yield count, f"has {count} lines; at most {FILE_LINES_MAX}"


def rule_text_form(file):
    """No tabs in C++, no trailing blanks, no carriage returns, a newline at the end."""
    if not file.is_code():
        return
    for number, line in enumerate(file.lines, 1):
        if line != line.rstrip():
            yield number, "has blanks or a carriage return at its end"
        if "\t" in line and file.path.endswith(CPP):
            yield number, "has a tab; we indent with two spaces"
    if file.text and not file.text.endswith("\n"):
        yield len(file.lines), "doesn't end with a newline"


# Written apart, so that this file doesn't find itself.
UNFINISHED = re.compile(r"\b(?:" + "|".join(["FIX" + "ME", "TO" + "DO", "X" * 3, "HA" + "CK"])
                        + r")\b")


def rule_unfinished(file):
    """Nothing is left for later."""
    for number, line in enumerate(file.lines, 1):
        if found := UNFINISHED.search(line):
            yield number, f"says {found.group()}; finish it or open an issue"


SLEEP = re.compile(r"\b(?:sleep_for|sleep_until|usleep|nanosleep)\b|\bsleep\s*\(")
DISABLED = re.compile(r"\bDISABLED" + r"_\w")


def rule_honest_tests(file):
    """Tests wait for something, not for a time, and none is switched off."""
    if file.layer != "tests" or not file.path.endswith(CPP):
        return
    for number, line in enumerate(code_of(file.text).split("\n"), 1):
        if DISABLED.search(line):
            yield number, "switches a test off; repair or remove it"
        if SLEEP.search(line) and file.path not in SLEEP_ALLOWED:
            yield number, "sleeps; wait for what the test needs, with a deadline"


# ---- the length of functions --------------------------------------------------------------------

NOT_CODE = re.compile(
    r'R"(?P<tag>[^()\\\s]{0,16})\((?:.|\n)*?\)(?P=tag)"'  # raw strings
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'"
    r"|//[^\n]*"
    r"|/\*(?:.|\n)*?\*/"
    r"|^[ \t]*#(?:\\\n|[^\n])*",  # preprocessor
    re.MULTILINE)


def code_of(text):
    """The text with comments, strings and directives blanked out; every line stays in its place."""
    return NOT_CODE.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text)


SCOPE = re.compile(r"(?:(?:template|inline|static|constexpr|typedef)\b\s*)*"
                   r"(?:namespace|class|struct|union|enum|extern)\b")
BODY_FOLLOWS = re.compile(
    r"(?:[)\]}]|\bconst|\bnoexcept|\boverride|\bfinal|\bmutable|&|->[^;]*|\brequires\b[^;]*)$")
ACCESS = ("public", "private", "protected")


def matching_brace(code, start):
    depth = 0
    for position in range(start, len(code)):
        depth += {"{": 1, "}": -1}.get(code[position], 0)
        if depth == 0:
            return position
    return len(code) - 1


def flattened(statement):
    """The statement without what stands in parentheses, and without blanks at its ends."""
    while (shorter := re.sub(r"\([^()]+\)", "()", statement)) != statement:
        statement = shorter
    return statement.strip()


def opens_scope(statement):
    """Whether the brace after `statement` opens a namespace or a type, to be looked into."""
    while (shorter := re.sub(r"<[^<>]*>", "", statement)) != statement:
        statement = shorter
    return bool(SCOPE.match(statement)) and not statement.endswith(")")


def opens_body(statement):
    """Whether it opens a function's body; otherwise it is a value or a member's initializer."""
    # A brace within parentheses belongs to an argument.
    balanced = statement.count("(") == statement.count(")")
    callable_ = "()" in statement or statement.endswith("]")
    return balanced and callable_ and bool(BODY_FOLLOWS.search(statement))


def functions(code):
    """(first line, last line) of each function that stands in no other function."""
    position = 0
    start = 0  # of the statement
    while position < len(code):
        character = code[position]
        if character in ";}" or (character == ":" and code[start:position].strip() in ACCESS):
            start = position + 1
        elif character == "{":
            statement = code[start:position]
            flat = flattened(statement)
            if opens_scope(flat):
                start = position + 1
            else:
                end = matching_brace(code, position)
                if opens_body(flat):
                    first = start + len(statement) - len(statement.lstrip())
                    yield code.count("\n", 0, first) + 1, code.count("\n", 0, end) + 1
                    start = end + 1
                position = end
        position += 1


def rule_function_length(file):
    """Functions have at most 70 lines."""
    if not file.path.endswith(CPP):
        return
    for first, last in functions(code_of(file.text)):
        if last - first + 1 > FUNCTION_LINES_MAX:
            yield first, f"is a function of {last - first + 1} lines; at most {FUNCTION_LINES_MAX}"


# ---- rules of the whole tree: each yields (path, line, sentence) --------------------------------

SOURCE_NAME = re.compile(r"[\w./-]+\.cpp\b")


def rule_every_source_is_built(tree):
    """Every .cpp is named in a CMake file: what isn't built rots."""
    named = set()
    for file in tree.files:
        name = file.path.split("/")[-1]
        if name != "CMakeLists.txt" and not name.endswith(".cmake"):
            continue
        # An included file speaks of the root's paths, a CMakeLists.txt of its folder's.
        folder = pathlib.PurePosixPath(file.path).parent if name == "CMakeLists.txt" else ""
        text = re.sub(r"#[^\n]*", "", file.text)
        named.update(str(pathlib.PurePosixPath(folder, source))
                     for source in SOURCE_NAME.findall(text))
    for path in tree.paths:
        if path.endswith(".cpp") and path not in named:
            yield path, 1, "is named in no CMakeLists.txt, so nobody builds it"


LINK = re.compile(r"!?\[[^\]\n]*\]\(\s*<?([^)\s>]+)>?[^)\n]*\)|^\s*\[[^\]\n]+\]:\s*(\S+)")
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*\s*$")


def without_fences(lines):
    fence = False
    for number, line in enumerate(lines, 1):
        if re.match(r"\s*(?:```|~~~)", line):
            fence = not fence
        elif not fence:
            yield number, line


def anchors(file):
    found = {}
    for _, line in without_fences(file.lines):
        if heading := HEADING.match(line):
            words = re.sub(r"[^\w\- ]", "", heading.group(1).lower()).replace(" ", "-")
            count = found.get(words, 0)
            found[words] = count + 1
            yield words if count == 0 else f"{words}-{count}"


def rule_links_resolve(tree):
    """Links of Markdown files to files and headings lead somewhere."""
    for file in tree.files:
        if not file.path.endswith(".md"):
            continue
        for number, line in without_fences(file.lines):
            for found in LINK.finditer(re.sub(r"`[^`]*`", "", line)):
                target = found.group(1) or found.group(2)
                if re.match(r"[a-z][a-z0-9+.-]*:", target):
                    continue
                path, _, anchor = target.partition("#")
                base = tree.root / file.path
                goal = (base.parent / path).resolve() if path else base
                if not goal.exists() or not goal.is_relative_to(tree.root):
                    yield file.path, number, f"links to {target}, which isn't there"
                elif anchor and goal.suffix == ".md":
                    known = tree.by_path.get(str(goal.relative_to(tree.root)))
                    if known is None or anchor not in set(anchors(known)):
                        yield file.path, number, f"links to {target}, a heading that isn't there"


TEST_NAME = re.compile(r"`([A-Z]\w+)\.([A-Z]\w+)`")


def rule_claims_name_their_tests(tree):
    """Each claim of SECURITY.md's tables names a test, and the tests that it names are there."""
    file = tree.by_path.get("SECURITY.md")
    if file is None:
        return
    known = set()
    for test in tree.files:
        if test.path.startswith("tests/") and test.path.endswith(".cpp"):
            known.update(re.findall(r"\bTEST(?:_F|_P)?\(\s*(\w+)\s*,\s*(\w+)\s*\)", test.text))
    in_claims = False
    for number, line in enumerate(file.lines, 1):
        if not line.startswith("|"):
            in_claims = False
        elif re.match(r"\|\s*claim\s*\|\s*test\s*\|", line):
            in_claims = True
        elif in_claims and not re.match(r"\|[-|\s]+$", line):
            names = TEST_NAME.findall(line)
            if not names:
                yield file.path, number, "claims something and names no test"
            for suite, name in names:
                if (suite, name) not in known:
                    yield file.path, number, f"names the test {suite}.{name}, which isn't there"


def rule_exceptions_are_needed(tree):
    """An exception above that no file needs any more must go."""
    wanted = [(INFRA_INTERNAL, r"#\s*include\s*<(?:rocksdb|librdkafka)/", "INFRA_INTERNAL"),
              (BEAST_ALLOWED, r"#\s*include\s*<boost/beast", "BEAST_ALLOWED"),
              (HASHING_ALLOWED, r"#\s*include\s*<openssl/evp", "HASHING_ALLOWED"),
              (SLEEP_ALLOWED, SLEEP.pattern, "SLEEP_ALLOWED")]
    for exceptions, pattern, name in wanted:
        for path in exceptions:
            file = tree.by_path.get(path)
            if file is None or not re.search(pattern, file.text):
                yield path, 1, f"needs no exception any more; take it out of {name} in tidy.py"


def configured_checks(text):
    """The checks that .clang-tidy names, without its leading `-*`."""
    block = re.search(r"^Checks:\s*(?:>-?|\|)?\s*\n((?:[ \t]+.*\n)+)|^Checks:\s*(\S.*)$", text,
                      re.MULTILINE)
    names = re.split(r"[,\s]+", (block.group(1) or block.group(2)).strip(" '\"\n")) if block else []
    return [name for name in names if name and not name.startswith("-")]


def rule_lint_checks(tree, program):
    """clang-tidy knows and runs every check that .clang-tidy names; the list is of plain names."""
    config = tree.by_path.get(".clang-tidy")
    names = configured_checks(config.text) if config else []
    if not names:
        yield ".clang-tidy", 1, "names no checks"
    listed = subprocess.run([program, "--list-checks"], cwd=tree.root, capture_output=True,
                            text=True, check=True).stdout.split()
    for name in names:
        if name not in listed:
            yield ".clang-tidy", 1, f"names {name}, which {program} doesn't run"


FILE_RULES = [rule_include_arrows, rule_pure_layers, rule_hidden_libraries, rule_pragma_once,
              rule_unused_names, rule_line_length, rule_file_length, rule_text_form,
              rule_unfinished, rule_honest_tests, rule_function_length]
TREE_RULES = [rule_every_source_is_built, rule_links_resolve, rule_claims_name_their_tests,
              rule_exceptions_are_needed]


def findings(tree):
    for file in tree.files:
        for rule in FILE_RULES:
            for number, sentence in rule(file):
                yield file.path, number, sentence
    for rule in TREE_RULES:
        yield from rule(tree)


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--clang-tidy", help="the program whose list of checks is compared")
    options = parser.parse_args(arguments)
    tree = Tree(options.root)
    found = list(findings(tree))
    if options.clang_tidy:
        found.extend(rule_lint_checks(tree, options.clang_tidy))
    for path, number, sentence in found:
        print(f"{path}:{number}: {sentence}")
    print(f"tidy: {len(tree.files)} files, {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

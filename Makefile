# Thin verbs; CMakePresets.json and tools/ do the work. Each works from a fresh clone, ends with one line
# that says what it did, and exits non-zero when something is wrong.
#
#   make run                       the story: two regions watch a web server (stays in the foreground)
#   make test                      everything CI runs
#   make check-all                 test, and sanitizers, tidy, integration at length
#   make sim SEEDS=200 HOURS=2     simulated hours with faults, invariants checked by name
#   make chaos MINUTES=10          the real daemons under faults of every kind, at length
#   make fuzz SECONDS=60 TARGET=   libFuzzer over every parser, or over one
#   make bench                     what the built daemons cost, beside floors of the same run
#   make deb                       Debian packages, in build/deb
#   make fmt | tidy                clang-format 16 | clang-tidy 16
SEEDS ?= 200
HOURS ?= 2
MINUTES ?= 10
SECONDS ?= 60
TARGET ?=

.PHONY: run test check-all sim chaos fuzz bench deb fmt tidy

# The story is written in Python, which a bare machine gets here.
run:
	@tools/install-deps build run
	@exec tools/run-story
test:
	@tools/verb test
check-all:
	@tools/verb check-all
sim:
	@tools/verb sim "$(SEEDS)" "$(HOURS)"
chaos:
	@tools/verb chaos "$(MINUTES)"
fuzz:
	@tools/verb fuzz "$(SECONDS)" "$(TARGET)"
bench:
	@tools/verb bench
deb:
	@tools/verb deb
fmt:
	@tools/verb fmt
tidy:
	@tools/verb tidy

#pragma once
// Question answered here: how does a test kill the process at one exact moment?
//
// `TOCSIN_CRASH_POINT("spool.sync.before")` kills the process with SIGKILL when the environment has
// TOCSIN_CRASH_AT=NAME[:N] and this is the N-th pass (first by default). It is compiled in only
// with TOCSIN_TEST_HOOKS (preset dev); packages have no trace of it. docs/testing.md lists the
// names.

#ifdef TOCSIN_TEST_HOOKS
namespace tocsin {
void crash_point(const char* name);
}

#define TOCSIN_CRASH_POINT(name) ::tocsin::crash_point(name)
#else
#define TOCSIN_CRASH_POINT(name) \
  do {                           \
  } while (false)
#endif

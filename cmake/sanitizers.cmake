# Options that change the whole build. They are global on purpose: mixing sanitized and plain objects
# gives wrong answers.
option(TOCSIN_ASSERTIONS "libstdc++ assertions" OFF)
option(TOCSIN_TEST_HOOKS "Crash points and other hooks that only tests use" OFF)
option(TOCSIN_HARDENING "Hardening flags of the packages" OFF)
option(TOCSIN_FUZZ "Build the fuzz targets with libFuzzer (clang)" OFF)
option(TOCSIN_TESTS "Build the tests" ON)
option(TOCSIN_BENCH "Build the benchmarks" ON)
set(TOCSIN_SANITIZE
    ""
    CACHE STRING "Comma separated sanitizers, e.g. address,undefined")

if(TOCSIN_ASSERTIONS OR TOCSIN_SANITIZE)
  add_compile_definitions(_GLIBCXX_ASSERTIONS)
endif()
if(TOCSIN_TEST_HOOKS)
  add_compile_definitions(TOCSIN_TEST_HOOKS=1)
endif()
if(TOCSIN_SANITIZE)
  add_compile_options(-fsanitize=${TOCSIN_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${TOCSIN_SANITIZE})
endif()
if(TOCSIN_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(TOCSIN_HARDENING)
  add_compile_options(-fstack-protector-strong -fstack-clash-protection -fPIE -U_FORTIFY_SOURCE
                      -D_FORTIFY_SOURCE=2)
  add_link_options(-pie -Wl,-z,relro -Wl,-z,now)
endif()

find_program(TOCSIN_MOLD mold)
if(TOCSIN_MOLD AND NOT TOCSIN_HARDENING)
  add_link_options(-fuse-ld=mold)
endif()

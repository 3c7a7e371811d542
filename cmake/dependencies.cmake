# Every third-party library enters the build here, as one dep_* target. A layer names the dep_* it may
# use; tests/style/layers.py checks the includes against the table of ARCHITECTURE.md.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(Protobuf REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(tl-expected REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(simdjson REQUIRED)
find_package(prometheus-cpp REQUIRED)
find_package(CURL REQUIRED)

function(tocsin_dep name)
  add_library(${name} INTERFACE)
  target_link_libraries(${name} INTERFACE ${ARGN})
endfunction()

foreach(
  pair
  EVENT:libevent_core
  EVENT_PTHREADS:libevent_pthreads
  CARES:libcares
  ZMQ:libzmq
  YAML:yaml-0.1
  ARGON2:libargon2
  RE2:re2
  NGHTTP2:libnghttp2
  BROTLI:libbrotlidec
  ZLIB_PC:zlib)
  string(REPLACE ":" ";" pair ${pair})
  list(GET pair 0 var)
  list(GET pair 1 module)
  pkg_check_modules(${var} REQUIRED IMPORTED_TARGET ${module})
endforeach()

tocsin_dep(dep_expected tl::expected)
tocsin_dep(dep_fmt fmt::fmt)
tocsin_dep(dep_crypto OpenSSL::Crypto)
tocsin_dep(dep_tls OpenSSL::SSL OpenSSL::Crypto)
tocsin_dep(dep_event PkgConfig::EVENT)
tocsin_dep(dep_cares PkgConfig::CARES)
tocsin_dep(dep_zmq PkgConfig::ZMQ Threads::Threads)
tocsin_dep(dep_yaml PkgConfig::YAML)
tocsin_dep(dep_argon2 PkgConfig::ARGON2)
tocsin_dep(dep_re2 PkgConfig::RE2)
tocsin_dep(dep_nghttp2 PkgConfig::NGHTTP2)
tocsin_dep(dep_brotli PkgConfig::BROTLI)
tocsin_dep(dep_zlib PkgConfig::ZLIB_PC)
tocsin_dep(dep_simdjson simdjson::simdjson)
tocsin_dep(dep_json nlohmann_json::nlohmann_json)
tocsin_dep(dep_spdlog spdlog::spdlog)
tocsin_dep(dep_sqlite SQLite::SQLite3)
tocsin_dep(dep_prometheus prometheus-cpp::core)
tocsin_dep(dep_curl CURL::libcurl)
tocsin_dep(dep_protobuf protobuf::libprotobuf)
tocsin_dep(dep_threads Threads::Threads)

# llhttp comes as C sources in Debian's node-llhttp; there is no package config.
find_path(TOCSIN_LLHTTP_INCLUDE llhttp.h PATHS /usr/share/include/llhttp REQUIRED)
find_path(TOCSIN_LLHTTP_SOURCE llhttp.c PATHS /usr/share/llhttp REQUIRED)
enable_language(C)
add_library(
  tocsin_llhttp STATIC ${TOCSIN_LLHTTP_SOURCE}/llhttp.c ${TOCSIN_LLHTTP_SOURCE}/api.c
                       ${TOCSIN_LLHTTP_SOURCE}/http.c)
target_include_directories(tocsin_llhttp SYSTEM PUBLIC ${TOCSIN_LLHTTP_INCLUDE})
# The sources hold two parsers. The default one lets blanks into header names.
target_compile_definitions(tocsin_llhttp PUBLIC LLHTTP_STRICT_MODE=1)
tocsin_dep(dep_llhttp tocsin_llhttp)

if(TOCSIN_TESTS)
  find_package(GTest REQUIRED)
  tocsin_dep(dep_gtest GTest::gtest GTest::gtest_main)
  pkg_check_modules(BROTLI_ENCODER REQUIRED IMPORTED_TARGET libbrotlienc)
  tocsin_dep(dep_brotli_encoder PkgConfig::BROTLI_ENCODER)
endif()

#include "common/io/tls_library.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string_view>
#include <vector>

namespace tocsin::io {

namespace {

using std::string_view;

bool starts_with_any(string_view text, std::initializer_list<string_view> starts) {
  return std::any_of(starts.begin(), starts.end(),
                     [text](string_view start) { return text.starts_with(start); });
}

bool contains(string_view text, string_view part) { return text.find(part) != string_view::npos; }

/// Of the keys of servers and certificates, and of the key exchange.
bool is_key_type(string_view names) {
  constexpr std::array<string_view, 9> kTypes{"RSA",   "RSA-PSS", "EC",   "DSA", "ED25519",
                                              "ED448", "X25519",  "X448", "DH"};
  const string_view first = names.substr(0, names.find(':'));
  return std::find(kTypes.begin(), kTypes.end(), first) != kTypes.end();
}

/// `names` are OpenSSL's, "AES-256-GCM:id-aes256-GCM:2.16.840.1.101.3.4.1.46".
bool is_wanted(int operation, string_view names, string_view properties) {
  switch (operation) {
    case OSSL_OP_DIGEST:
      return starts_with_any(names, {"SHA", "MD5"});
    case OSSL_OP_CIPHER:
      return starts_with_any(names, {"AES-", "ChaCha20"}) &&
             (contains(names, "-GCM") || contains(names, "-CCM") || contains(names, "-CBC:") ||
              contains(names, "256-CTR") || contains(names, "Poly1305"));
    case OSSL_OP_MAC:
      return starts_with_any(names, {"HMAC"});
    case OSSL_OP_KDF:
      return starts_with_any(names, {"HKDF", "TLS"});
    case OSSL_OP_KEYMGMT:
      return is_key_type(names) || starts_with_any(names, {"HKDF", "TLS1-PRF", "HMAC"});
    case OSSL_OP_DECODER:
      return is_key_type(names) && contains(properties, "input=der") &&
             contains(properties, "structure=SubjectPublicKeyInfo");
    case OSSL_OP_RAND:
    case OSSL_OP_KEYEXCH:
    case OSSL_OP_SIGNATURE:
    case OSSL_OP_ASYM_CIPHER:
    case OSSL_OP_KEM:
      return true;
    default:
      return false;
  }
}

/// Nothing of it ever goes away: OpenSSL's own clean-up at the end of the process may still ask.
struct Library {
  OSSL_PROVIDER* whole = nullptr;  ///< The default provider, in a context of its own.
  std::array<std::vector<OSSL_ALGORITHM>, OSSL_OP__HIGHEST + 1> wanted;
  OSSL_LIB_CTX* context = nullptr;
};

Library& library() {
  static auto& the = *new Library;
  return the;
}

// --- the provider (provider-base(7)) ---

const OSSL_ALGORITHM* query(void* /*provider*/, int operation, int* no_cache) {
  *no_cache = 0;
  const auto index = static_cast<std::size_t>(operation);
  Library& the = library();
  return index < the.wanted.size() && the.wanted[index].size() > 1 ? the.wanted[index].data()
                                                                   : nullptr;
}

int capabilities(void* /*provider*/, const char* capability, OSSL_CALLBACK* callback, void* arg) {
  return OSSL_PROVIDER_get_capabilities(library().whole, capability, callback, arg);
}

const OSSL_PARAM* gettable_params(void* /*provider*/) {
  return OSSL_PROVIDER_gettable_params(library().whole);
}

int get_params(void* /*provider*/, OSSL_PARAM* params) {
  return OSSL_PROVIDER_get_params(library().whole, params);
}

template <typename Function>
OSSL_DISPATCH entry(int id, Function* function) {
  return {id, reinterpret_cast<void (*)()>(function)};
}

int open_provider(const OSSL_CORE_HANDLE* /*handle*/, const OSSL_DISPATCH* /*core*/,
                  const OSSL_DISPATCH** dispatch, void** provider) {
  static const std::array kDispatch{
      entry(OSSL_FUNC_PROVIDER_QUERY_OPERATION, &query),
      entry(OSSL_FUNC_PROVIDER_GET_CAPABILITIES, &capabilities),
      entry(OSSL_FUNC_PROVIDER_GETTABLE_PARAMS, &gettable_params),
      entry(OSSL_FUNC_PROVIDER_GET_PARAMS, &get_params),
      OSSL_DISPATCH{0, nullptr},
  };
  *dispatch = kDispatch.data();
  // The algorithms are the default provider's and expect its context.
  *provider = OSSL_PROVIDER_get0_provider_ctx(library().whole);
  return 1;
}

void collect(Library& the, int operation) {
  int no_cache = 0;
  const OSSL_ALGORITHM* one = OSSL_PROVIDER_query_operation(the.whole, operation, &no_cache);
  auto& wanted = the.wanted[static_cast<std::size_t>(operation)];
  for (; one != nullptr && one->algorithm_names != nullptr; ++one) {
    if (is_wanted(operation, one->algorithm_names, one->property_definition)) {
      wanted.push_back(*one);
    }
  }
  wanted.push_back({nullptr, nullptr, nullptr, nullptr});
}

/// Whether the default context has the providers and properties that it has without configuration.
bool default_is_plain() {
  int others = 0;
  OSSL_PROVIDER_do_all(
      nullptr,
      [](OSSL_PROVIDER* provider, void* count) {
        if (string_view{OSSL_PROVIDER_get0_name(provider)} != "default")
          ++*static_cast<int*>(count);
        return 1;
      },
      &others);
  return others == 0 && EVP_default_properties_is_fips_enabled(nullptr) == 0;
}

OSSL_LIB_CTX* make() {
  // Reads the configuration, and activates the default provider when that names none.
  OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, nullptr);
  if (OSSL_PROVIDER_available(nullptr, "default") != 1 || !default_is_plain()) return nullptr;
  Library& the = library();
  OSSL_LIB_CTX* const inner = OSSL_LIB_CTX_new();
  if (inner == nullptr) return nullptr;
  the.whole = OSSL_PROVIDER_load(inner, "default");
  if (the.whole == nullptr) return nullptr;
  for (int operation = 1; operation <= OSSL_OP__HIGHEST; ++operation) collect(the, operation);
  OSSL_LIB_CTX* const context = OSSL_LIB_CTX_new();
  constexpr const char* kName = "tocsin-tls";
  if (context == nullptr || OSSL_PROVIDER_add_builtin(context, kName, &open_provider) != 1 ||
      OSSL_PROVIDER_load(context, kName) == nullptr) {
    return nullptr;
  }
  the.context = context;
  return context;
}

}  // namespace

ossl_lib_ctx_st* tls_library() {
  static OSSL_LIB_CTX* const context = [] {
    OSSL_LIB_CTX* const made = make();
    ERR_clear_error();
    return made;
  }();
  return context;
}

}  // namespace tocsin::io

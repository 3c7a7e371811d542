#pragma once
// Certificates made at test time: nothing secret lies in the repository and nothing expires in it.

#include <string>
#include <vector>

namespace tocsin::test {

struct Certificate {
  std::string pem;  ///< The leaf alone.
  std::string key_pem;
  std::string ca_pem;  ///< What must be trusted for it to verify.
};

struct CertificateOptions {
  std::vector<std::string> names = {"localhost"};  ///< DNS names.
  std::vector<std::string> addresses;              ///< IP addresses.
  int from_days = -1;                              ///< Relative to now.
  int to_days = 30;
  bool self_signed = false;
  std::string root_name = "Test Root";
};

Certificate make_certificate(const CertificateOptions& options = {});

}  // namespace tocsin::test

#pragma once
// Question answered here: to whom is a request's connection opened, and what makes two connections
// interchangeable?

#include "agent/probe/connect_chain.h"
#include "agent/probe/http_credentials.h"
#include "agent/probe/http_redirect.h"

#include <memory>
#include <string>

namespace tocsin::agent {

/// The resolver that a monitor names: policy.denied_address when the egress policy does not allow
/// its address.
tl::expected<std::shared_ptr<io::Resolver>, Failure> named_resolver(ProbeContext& context,
                                                                    const std::string& server);

/// Without what the spec's common part says (family, resolver, resumption). With a proxy the chain
/// goes to the proxy, and for https through a tunnel; policy.proxy_unknown when the agent's file
/// does not name it.
tl::expected<ConnectPlan, Failure> plan_http_connection(ProbeContext& context,
                                                        const HttpTarget& target,
                                                        const HttpRequestPlan& request,
                                                        const HttpCredentials& credentials);

/// Equal exactly when a connection (or a TLS session) may serve both requests.
std::string connection_key(const HttpTarget& target, const HttpRequestPlan& request,
                           IpFamily family);

/// What fails on the way to a proxy says nothing about the server (policy.proxy).
Failure blame_proxy(const HttpTarget& target, Failure failure);

}  // namespace tocsin::agent

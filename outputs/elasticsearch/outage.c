/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/outage.h"

#include <string.h>

/* The first that fits; `part` of curl's text, NULL where any will do. */
static const struct {
    CURLcode code;
    const char *part;
    struct outage outage;
} rules[] = {
    { CURLE_COULDNT_RESOLVE_HOST,
      NULL,
      { "name", "is the name right, and does the name server answer?" } },
    { CURLE_COULDNT_RESOLVE_PROXY,
      NULL,
      { "name of proxy", "is the name right, and does the name server "
                         "answer?" } },
    { CURLE_COULDNT_CONNECT,
      NULL,
      { "connect", "is it up, and may this machine reach it?" } },
    { CURLE_OPERATION_TIMEDOUT,
      "onnect",
      { "connect", "is it up, and may this machine reach it?" } },
    { CURLE_OPERATION_TIMEDOUT,
      NULL,
      { "timeout", "is the cluster overloaded, or timeout too short?" } },
    { CURLE_PEER_FAILED_VERIFICATION,
      "target host name",
      { "certificate", "its certificate is for other names: use one of them in "
                       "hosts, or as tls.server_name" } },
    { CURLE_PEER_FAILED_VERIFICATION,
      "expired",
      { "certificate", "renew that certificate" } },
    { CURLE_PEER_FAILED_VERIFICATION,
      "fingerprint",
      { "certificate", "compare it with that of the cluster's CA" } },
    { CURLE_PEER_FAILED_VERIFICATION,
      NULL,
      { "certificate", "is the CA that signed its certificate in "
                       "tls.ca_file?" } },
    { CURLE_SSL_CERTPROBLEM,
      NULL,
      { "client certificate", "do tls.cert_file, key_file and key_password "
                              "belong together?" } },
    { CURLE_SSL_CACERT_BADFILE,
      NULL,
      { "ca_file", "can tls.ca_file be read, and is it PEM?" } },
    { CURLE_SSL_CONNECT_ERROR,
      "wrong version number",
      { "TLS", "is that an http:// address?" } },
    { CURLE_SSL_CONNECT_ERROR,
      "protocol version",
      { "TLS", "the server has no TLS of tls.min_version" } },
    { CURLE_SSL_CONNECT_ERROR,
      NULL,
      { "TLS", "does it speak TLS, of tls.min_version or newer?" } },
    { CURLE_GOT_NOTHING,
      NULL,
      { "empty answer", "is that an https:// address?" } },
    { CURLE_UNSUPPORTED_PROTOCOL,
      NULL,
      { "no HTTP", "is that an https:// address, or no search server?" } },
    { CURLE_RECV_ERROR,
      "alert",
      { "client certificate", "the server does not accept the client's "
                              "certificate, or wants one: tls.cert_file" } },
    { CURLE_SEND_ERROR,
      "alert",
      { "client certificate", "the server does not accept the client's "
                              "certificate, or wants one: tls.cert_file" } },
    { CURLE_RECV_ERROR,
      "CONNECT tunnel failed, response 407",
      { "proxy credentials", "set proxy_username and proxy_password" } },
    { CURLE_RECV_ERROR,
      "CONNECT",
      { "proxy", "may this client reach that host through the proxy?" } },
    { CURLE_PROXY, NULL, { "proxy", "does the proxy work?" } },
    { CURLE_PARTIAL_FILE, NULL, { "cut answer", NULL } },
    { CURLE_RECV_ERROR, NULL, { "connection lost", NULL } },
    { CURLE_SEND_ERROR, NULL, { "connection lost", NULL } },
};

const struct outage *outage_of(CURLcode code, const char *why)
{
    static const struct outage other = { "connection", NULL };

    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (rules[i].code == code &&
            (rules[i].part == NULL || strstr(why, rules[i].part) != NULL))
            return &rules[i].outage;
    }
    return &other;
}

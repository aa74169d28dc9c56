/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/outage.h"
#include "test/unit/unit.h"

/* What libcurl 7.88 with OpenSSL 3 says. */
TEST(what_cannot_be_reached_comes_with_advice)
{
    static const struct {
        CURLcode code;
        const char *why, *topic, *advice;
    } rows[] = {
        { CURLE_COULDNT_CONNECT, "Failed to connect to a port 9200", "connect",
          "is it up" },
        { CURLE_OPERATION_TIMEDOUT, "Connection timed out after 10001 ms",
          "connect", "is it up" },
        { CURLE_OPERATION_TIMEDOUT,
          "Operation timed out after 60001 milliseconds with 0 bytes received",
          "timeout", "overloaded" },
        { CURLE_COULDNT_RESOLVE_HOST, "Could not resolve host: a", "name",
          "name server" },
        { CURLE_PEER_FAILED_VERIFICATION,
          "SSL certificate problem: unable to get local issuer certificate",
          "certificate", "tls.ca_file" },
        { CURLE_PEER_FAILED_VERIFICATION,
          "SSL certificate problem: certificate has expired", "certificate",
          "renew" },
        { CURLE_PEER_FAILED_VERIFICATION,
          "SSL: certificate subject name 'x' does not match target host name "
          "'y'",
          "certificate", "server_name" },
        { CURLE_PEER_FAILED_VERIFICATION,
          "SSL: no alternative certificate subject name matches target host "
          "name '127.0.0.1'",
          "certificate", "server_name" },
        { CURLE_SSL_CONNECT_ERROR,
          "error:0A00010B:SSL routines::wrong version number", "TLS",
          "http://" },
        { CURLE_SSL_CONNECT_ERROR,
          "error:0A00042E:SSL routines::tlsv1 alert protocol version", "TLS",
          "min_version" },
        { CURLE_GOT_NOTHING, "Empty reply from server", "empty answer",
          "https://" },
        { CURLE_RECV_ERROR,
          "OpenSSL SSL_read: error:0A00045C:SSL routines::tlsv13 alert "
          "certificate required, errno 0",
          "client certificate", "cert_file" },
        { CURLE_RECV_ERROR, "CONNECT tunnel failed, response 407",
          "proxy credentials", "proxy_username" },
        { CURLE_RECV_ERROR, "CONNECT tunnel failed, response 403", "proxy",
          "proxy" },
        { CURLE_RECV_ERROR, "Recv failure: Connection reset by peer",
          "connection lost", NULL },
        { CURLE_PARTIAL_FILE, "transfer closed", "cut answer", NULL },
        { CURLE_FAILED_INIT, "x", "connection", NULL },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct outage *o = outage_of(rows[i].code, rows[i].why);

        EQ_STR(rows[i].topic, o->topic);
        if (rows[i].advice == NULL)
            OK(o->advice == NULL);
        else
            HAS(o->advice, rows[i].advice);
    }
}

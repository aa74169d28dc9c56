/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/settings.h"

#include <stdlib.h>

#include "outputs/elasticsearch/action.h"
#include "outputs/elasticsearch/hosts.h"
#include "outputs/elasticsearch/tls.h"

#define DEFAULT_INDEX "auditing-%Y.%m.%d"

static const char *const compressions[] = { "gzip", "none", NULL };
static const char *const tls_versions[] = { "1.2", "1.3", NULL };
const char *const aws_services[] = { "es", "aoss", NULL };

/* A name as it stands in a URL and in an action line. */
static const char *check_stream(const char *name)
{
    if (strchr(name, '%') != NULL)
        return "is one name: it may not hold %";
    return action_check_index(name);
}

static const char *check_word(const char *word)
{
    for (const char *p = word; *p != '\0'; p++) {
        if ((unsigned char)*p <= ' ' || strchr("\"#%&+?\\", *p) != NULL)
            return "may not hold spaces or any of \" # % & + ? \\";
    }
    return NULL;
}

static const char *check_fingerprint(const char *text)
{
    unsigned char hash[SHA256_SIZE];

    return tls_parse_fingerprint(text, hash) ? NULL
                                             : "is no SHA-256: 64 hexadecimal "
                                               "digits, with or without colons";
}

static const char *check_name(const char *name)
{
    return *name == '\0' || strpbrk(name, "/:@ \t\r\n") != NULL
               ? "is no host name"
               : NULL;
}

static const char *check_proxy(const char *url)
{
    static const char *const schemes[] = { "http://", "https://", "socks5://",
                                           "socks5h://" };

    if (strcmp(url, "none") == 0)
        return NULL;
    if (strchr(url, '@') != NULL)
        return "may not hold credentials: use proxy_username and "
               "proxy_password";
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        size_t n = strlen(schemes[i]);

        if (strncmp(url, schemes[i], n) == 0 && url[n] != '\0' &&
            strpbrk(url + n, "/?# \t\r\n") == NULL)
            return NULL;
    }
    return "is neither none nor http://, https://, socks5:// or socks5h:// "
           "with a host and a port";
}

/* Part of a signature and of a header. */
static const char *check_region(const char *region)
{
    for (const char *p = region; *p != '\0'; p++) {
        if (!(*p >= 'a' && *p <= 'z') && !(*p >= '0' && *p <= '9') && *p != '-')
            return "is no region of AWS, such as eu-central-1";
    }
    return *region != '\0' ? NULL : "is empty";
}

static const struct opt tls_opts[] = {
    OPT_PATH(struct tls_settings, ca_file,
             .help = "Certificates to trust instead of the system's, PEM."),
    OPT_STRING(struct tls_settings, ca_fingerprint, .check = check_fingerprint,
               .help = "Instead of ca_file, the SHA-256 of the CA's "
                       "certificate, which the server sends along."),
    OPT_PATH(struct tls_settings, cert_file,
             .help = "The client's own certificate, PEM."),
    OPT_PATH(struct tls_settings, key_file, .help = "Its private key, PEM."),
    OPT_SECRET(struct tls_settings, key_password,
               .help = "What key_file is encrypted with."),
    OPT_STRING(struct tls_settings, server_name, .check = check_name,
               .help = "The name that the server's certificate is for, where "
                       "it is none of `hosts`; also sent as the host's name."),
    OPT_CHOICE(struct tls_settings, min_version, .def = "1.2",
               .choices = tls_versions, .help = "The oldest TLS to speak."),
    OPT_END
};

static const struct opt aws_opts[] = {
    OPT_STRING(struct aws_settings, region, .check = check_region,
               .help = "Region of the domain; where it is set, requests are "
                       "signed."),
    OPT_CHOICE(struct aws_settings, service, .def = "es",
               .choices = aws_services,
               .help = "es: a managed domain; aoss: OpenSearch Serverless."),
    OPT_SECRET(struct aws_settings, access_key_id,
               .help = "Default: AWS_ACCESS_KEY_ID of the environment, and the "
                       "other two likewise."),
    OPT_SECRET(struct aws_settings, secret_access_key, .help = "Its secret."),
    OPT_SECRET(struct aws_settings, session_token,
               .help = "Of temporary credentials."),
    OPT_END
};

const struct opt elasticsearch_opts[] = {
    OPT_LIST(struct elasticsearch_settings, hosts, .required = true,
             .check = hosts_check_url,
             .help = "URLs of the cluster's nodes, taken in turn."),
    OPT_STRING(struct elasticsearch_settings, index,
               .check = action_check_index,
               .help = "Index, by the event's own time (UTC): %Y %m %d %H. "
                       "Default: " DEFAULT_INDEX "."),
    OPT_STRING(struct elasticsearch_settings, data_stream,
               .check = check_stream,
               .help = "A data stream instead of an index. It needs an index "
                       "template, which `tallyman setup` makes, and the rights "
                       "to search and to refresh it."),
    OPT_STRING(struct elasticsearch_settings, pipeline, .check = check_word,
               .help = "Ingest pipeline that each event goes through."),
    OPT_STRING(struct elasticsearch_settings, routing, .check = check_word,
               .help = "Routing value of every event."),
    OPT_CHOICE(struct elasticsearch_settings, require_alias, .def = "false",
               .choices = opt_switch_names,
               .help = "Refuse to write where `index` is no alias, instead of "
                       "making an index of that name."),
    OPT_SECRET(struct elasticsearch_settings, username,
               .help = "For basic authentication."),
    OPT_SECRET(struct elasticsearch_settings, password,
               .help = "For basic authentication; best as ${file:/path}."),
    OPT_SECRET(struct elasticsearch_settings, api_key,
               .help = "The encoded API key, instead of username and "
                       "password."),
    OPT_SECRET(struct elasticsearch_settings, bearer_token,
               .help = "A token (a service account's, a JWT), likewise "
                       "instead."),
    OPT_GROUP(struct elasticsearch_settings, aws, struct aws_settings, aws_opts,
              .help = "Instead of all these: requests signed for Amazon "
                      "OpenSearch Service."),
    OPT_GROUP(struct elasticsearch_settings, tls, struct tls_settings, tls_opts,
              .help = "For https hosts."),
    OPT_STRING(struct elasticsearch_settings, proxy, .check = check_proxy,
               .help = "http://HOST:PORT, https://, socks5:// or socks5h://; "
                       "none. Default: http_proxy, https_proxy and no_proxy of "
                       "the environment."),
    OPT_SECRET(struct elasticsearch_settings, proxy_username,
               .help = "For the proxy."),
    OPT_SECRET(struct elasticsearch_settings, proxy_password,
               .help = "For the proxy."),
    OPT_PATH(struct elasticsearch_settings, unix_socket,
             .help = "Connect to this socket, whatever `hosts` name."),
    OPT_CHOICE(struct elasticsearch_settings, discover, .def = "false",
               .choices = opt_switch_names,
               .help = "Ask the cluster for its data and ingest nodes, and "
                       "send to these; `hosts` when none of them answers."),
    OPT_DURATION(struct elasticsearch_settings, discover_interval, .def = "5m",
                 .min = 1000, .max = 86400000,
                 .help = "How often it is asked."),
    OPT_CHOICE(struct elasticsearch_settings, compression, .def = "gzip",
               .choices = compressions, .help = "Of request bodies."),
    OPT_DURATION(struct elasticsearch_settings, timeout, .def = "60s",
                 .min = 100, .max = 3600000,
                 .help = "Of one request; after that it is sent again."),
    OPT_END
};

static const char *check_aws(const struct aws_settings *a)
{
    bool id = secret_is_set(&a->access_key_id);
    bool key = secret_is_set(&a->secret_access_key);

    if (a->region == NULL)
        return id || key || secret_is_set(&a->session_token)
                   ? "aws needs a region"
                   : NULL;
    if (id != key)
        return "aws.access_key_id and aws.secret_access_key go together";
    if (!id && secret_is_set(&a->session_token))
        return "aws.session_token needs an access_key_id";
    if (!id && (getenv("AWS_ACCESS_KEY_ID") == NULL ||
                getenv("AWS_SECRET_ACCESS_KEY") == NULL))
        return "aws needs an access_key_id and a secret_access_key, here or "
               "as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
    return NULL;
}

static const char *check_credentials(const struct elasticsearch_settings *s)
{
    bool basic = secret_is_set(&s->username) || secret_is_set(&s->password);
    unsigned ways = (unsigned)basic + secret_is_set(&s->api_key) +
                    secret_is_set(&s->bearer_token) + (s->aws.region != NULL);

    if (ways > 1)
        return "username, api_key, bearer_token and aws exclude each other";
    if (secret_is_set(&s->username) && !secret_is_set(&s->password))
        return "username needs a password";
    if (secret_is_set(&s->password) && !secret_is_set(&s->username))
        return "password needs a username";
    if (secret_is_set(&s->username) && strchr(s->username.value, ':') != NULL)
        return "username may not hold a colon";
    return NULL;
}

static const char *check_tls(const struct tls_settings *t)
{
    if (t->ca_file != NULL && t->ca_fingerprint != NULL)
        return "tls.ca_file and tls.ca_fingerprint exclude each other";
    if (t->key_file != NULL && t->cert_file == NULL)
        return "tls.key_file needs a cert_file";
    if (t->cert_file != NULL && t->key_file == NULL)
        return "tls.cert_file needs a key_file";
    if (secret_is_set(&t->key_password) && t->key_file == NULL)
        return "tls.key_password needs a key_file";
    return NULL;
}

static const char *check_way(const struct elasticsearch_settings *s)
{
    bool socket = s->unix_socket != NULL;

    if (socket && s->proxy != NULL && strcmp(s->proxy, "none") != 0)
        return "unix_socket and proxy exclude each other";
    if (socket && s->discover == OPT_TRUE)
        return "unix_socket and discover exclude each other";
    if (secret_is_set(&s->proxy_username) != secret_is_set(&s->proxy_password))
        return "proxy_username and proxy_password go together";
    return NULL;
}

static const char *check_target(const struct elasticsearch_settings *s)
{
    if (s->index != NULL && s->data_stream != NULL)
        return "index and data_stream exclude each other";
    if (s->data_stream != NULL && s->require_alias == OPT_TRUE)
        return "require_alias is for an index: a data stream is no alias";
    return NULL;
}

const char *elasticsearch_check(const void *conf)
{
    const struct elasticsearch_settings *s = conf;
    const char *wrong = check_target(s);

    wrong = wrong != NULL ? wrong : check_credentials(s);
    wrong = wrong != NULL ? wrong : check_aws(&s->aws);
    wrong = wrong != NULL ? wrong : check_tls(&s->tls);
    return wrong != NULL ? wrong : check_way(s);
}

const char *elasticsearch_target(const struct elasticsearch_settings *s)
{
    if (s->data_stream != NULL)
        return s->data_stream;
    return s->index != NULL ? s->index : DEFAULT_INDEX;
}

bool elasticsearch_rolls_over(const struct elasticsearch_settings *s)
{
    return strchr(elasticsearch_target(s), '%') == NULL;
}

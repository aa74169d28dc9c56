/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/settings.h"

#include "outputs/elasticsearch/action.h"
#include "outputs/elasticsearch/hosts.h"

#define DEFAULT_INDEX "auditing-%Y.%m.%d"

static const char *const compressions[] = { "gzip", "none", NULL };

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

static const struct opt tls_opts[] = {
    OPT_PATH(struct tls_settings, ca_file,
             .help = "Certificates to trust instead of the system's, PEM."),
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
                       "template; `tallyman setup` makes one."),
    OPT_STRING(struct elasticsearch_settings, pipeline, .check = check_word,
               .help = "Ingest pipeline that each event goes through."),
    OPT_STRING(struct elasticsearch_settings, routing, .check = check_word,
               .help = "Routing value of every event."),
    OPT_CHOICE(struct elasticsearch_settings, require_alias, .def = "false",
               .choices = opt_switch_names,
               .help = "Refuse to write where `index` is no alias, instead of "
                       "making an index of that name."),
    OPT_STRING(struct elasticsearch_settings, username,
               .help = "For basic authentication."),
    OPT_SECRET(struct elasticsearch_settings, password,
               .help = "For basic authentication; best as ${file:/path}."),
    OPT_SECRET(struct elasticsearch_settings, api_key,
               .help = "The encoded API key, instead of username and "
                       "password."),
    OPT_GROUP(struct elasticsearch_settings, tls, struct tls_settings, tls_opts,
              .help = "For https hosts."),
    OPT_CHOICE(struct elasticsearch_settings, compression, .def = "gzip",
               .choices = compressions, .help = "Of request bodies."),
    OPT_DURATION(struct elasticsearch_settings, timeout, .def = "60s",
                 .min = 100, .max = 3600000,
                 .help = "Of one request; after that it is sent again."),
    OPT_END
};

const char *elasticsearch_check(const void *conf)
{
    const struct elasticsearch_settings *s = conf;

    if (s->index != NULL && s->data_stream != NULL)
        return "index and data_stream exclude each other";
    if (s->data_stream != NULL && s->require_alias == OPT_TRUE)
        return "require_alias is for an index: a data stream is no alias";
    if (secret_is_set(&s->api_key) &&
        (s->username != NULL || secret_is_set(&s->password)))
        return "api_key and username exclude each other";
    if (s->username != NULL && !secret_is_set(&s->password))
        return "username needs a password";
    if (secret_is_set(&s->password) && s->username == NULL)
        return "password needs a username";
    return NULL;
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

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/sealed.h"

#define SUM_LINE (sizeof("sum \n") - 1 + SHA256_HEX_SIZE - 1)

void sealed_end(struct buf *text)
{
    unsigned char hash[SHA256_SIZE];
    char hex[SHA256_HEX_SIZE];

    sha256_of(span(text->at, text->len), hash);
    sha256_hex(hash, hex);
    buf_printf(text, "sum %s\n", hex);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool sealed_hash(const char *hex, unsigned char out[static SHA256_SIZE])
{
    for (int i = 0; i < SHA256_SIZE; i++) {
        int high = hex_digit(hex[2 * i]);
        int low = high >= 0 ? hex_digit(hex[2 * i + 1]) : -1;

        if (low < 0)
            return false;
        out[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

int sealed_open(struct span *text, const char *title, struct err *e)
{
    unsigned char want[SHA256_SIZE], have[SHA256_SIZE];
    size_t head = strlen(title) + 1, above;

    if (text->len < head || memcmp(text->at, title, head - 1) != 0 ||
        text->at[head - 1] != '\n')
        return err_set(e, ERR_DAMAGED, "not a %s", title);
    above = text->len >= SUM_LINE ? text->len - SUM_LINE : 0;
    if (above < head || memcmp(text->at + above, "sum ", 4) != 0 ||
        !sealed_hash(text->at + above + 4, want) ||
        text->at[text->len - 1] != '\n')
        return err_set(e, ERR_DAMAGED, "its last line is missing");
    sha256_of(span(text->at, above), have);
    if (memcmp(want, have, SHA256_SIZE) != 0)
        return err_set(e, ERR_DAMAGED, "its checksum does not match");
    *text = span(text->at + head, above - head);
    return 0;
}

bool sealed_take(struct span *text, const char *key, struct span *out)
{
    size_t n = strlen(key);
    const char *end = memchr(text->at, '\n', text->len);
    size_t len = end != NULL ? (size_t)(end - text->at) : 0;

    if (end == NULL || len < n + 1 || memcmp(text->at, key, n) != 0 ||
        text->at[n] != ' ')
        return false;
    *out = span(text->at + n + 1, len - n - 1);
    *text = span(end + 1, text->len - len - 1);
    return true;
}

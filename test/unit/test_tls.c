/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/tls.h"
#include "test/unit/unit.h"

#define HEX "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"

TEST(a_fingerprint_is_64_digits_with_or_without_colons)
{
    unsigned char a[SHA256_SIZE], b[SHA256_SIZE];
    char colons[3 * SHA256_SIZE + 1];

    for (size_t i = 0; i < SHA256_SIZE; i++)
        snprintf(colons + 3 * i, 4, "%.2s:", HEX + 2 * i);
    colons[3 * SHA256_SIZE - 1] = '\0';
    OK(tls_parse_fingerprint(HEX, a));
    OK(tls_parse_fingerprint(colons, b));
    EQ(0, memcmp(a, b, sizeof(a)));
    EQ(0x00, a[0]);
    EQ(0xff, a[31]);
}

TEST(anything_else_is_no_fingerprint)
{
    static const char *const bad[] = {
        "",
        "0",
        HEX "0",
        HEX ":",
        HEX "00",
        ":" HEX,
        "g0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddee",
        "00::112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
        "sha256:" HEX,
    };
    unsigned char hash[SHA256_SIZE];

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (tls_parse_fingerprint(bad[i], hash))
            FAIL("\"%s\" was taken", bad[i]);
    }
}

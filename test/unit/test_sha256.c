/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/sha256.h"
#include "test/unit/unit.h"

static void is_hash(struct span of, const char *want)
{
    unsigned char hash[SHA256_SIZE];
    char hex[SHA256_HEX_SIZE];

    sha256_of(of, hash);
    sha256_hex(hash, hex);
    EQ_STR(want, hex);
}

/* The examples of FIPS 180-4 and the usual empty one. */
TEST(the_standards_examples_come_out)
{
    is_hash(SPAN(""), "e3b0c44298fc1c149afbf4c8996fb924"
                      "27ae41e4649b934ca495991b7852b855");
    is_hash(span(NULL, 0), "e3b0c44298fc1c149afbf4c8996fb924"
                           "27ae41e4649b934ca495991b7852b855");
    is_hash(SPAN("abc"), "ba7816bf8f01cfea414140de5dae2223"
                         "b00361a396177a9cb410ff61f20015ad");
    is_hash(SPAN("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039"
            "a33ce45964ff2167f6ecedd419db06c1");
}

TEST(pieces_give_the_hash_of_the_whole)
{
    unsigned char whole[SHA256_SIZE], pieces[SHA256_SIZE];
    struct sha256 *h = sha256_new();
    char text[300];

    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)(i * 7);
    sha256_of(span(text, sizeof(text)), whole);
    for (size_t cut = 0; cut <= sizeof(text); cut++) {
        sha256_start(h);
        sha256_add(h, text, cut);
        sha256_add(h, text + cut, sizeof(text) - cut);
        sha256_end(h, pieces);
        EQ(0, memcmp(whole, pieces, SHA256_SIZE));
    }
    sha256_free(h);
}

TEST(one_handle_hashes_again_and_again)
{
    unsigned char first[SHA256_SIZE], second[SHA256_SIZE];
    struct sha256 *h = sha256_new();

    sha256_add(h, "abc", 3);
    sha256_end(h, first);
    sha256_start(h);
    sha256_add(h, "something that is given up", 26);
    sha256_start(h);
    sha256_add(h, "abc", 3);
    sha256_end(h, second);
    EQ(0, memcmp(first, second, SHA256_SIZE));
    sha256_free(h);
    sha256_free(NULL);
}

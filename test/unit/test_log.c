/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "test/unit/unit.h"

#include <unistd.h>

static char said[16384];
static int kept = -1;
static FILE *capture;

static void listen(void)
{
    capture = tmpfile();
    OK(capture != NULL);
    kept = dup(STDERR_FILENO);
    OK(dup2(fileno(capture), STDERR_FILENO) >= 0);
}

/* What was said since listen(). */
static const char *heard(void)
{
    ssize_t n;

    dup2(kept, STDERR_FILENO);
    close(kept);
    n = pread(fileno(capture), said, sizeof(said) - 1, 0);
    OK(n >= 0);
    said[n] = '\0';
    fclose(capture);
    return said;
}

/* Behind the time, which is checked. */
static const char *rest_of(const char *line)
{
    OK(strlen(line) > 25);
    OK(clock_parse(span(line, 24)) != CLOCK_NO_TIME);
    EQ(' ', line[24]);
    return line + 25;
}

TEST(a_line_has_time_level_speaker_and_text)
{
    listen();
    log_warn("lane audit/search", "waited %d ms", 7);
    EQ_STR("warn lane audit/search: waited 7 ms\n", rest_of(heard()));
}

TEST(what_is_below_the_level_is_not_said)
{
    listen();
    log_set_level(LOG_WARN);
    log_info("agent", "not this");
    log_debug("agent", "nor this");
    log_error("agent", "but this");
    log_set_level(LOG_DEBUG);
    log_debug("agent", "and this");
    log_set_level(LOG_INFO);
    heard();
    OK(strstr(said, "not this") == NULL && strstr(said, "nor this") == NULL);
    HAS(said, " error agent: but this\n");
    HAS(said, " debug agent: and this\n");
}

TEST(the_levels_have_their_names)
{
    EQ_STR("error", log_level_names[LOG_ERROR]);
    EQ_STR("warn", log_level_names[LOG_WARN]);
    EQ_STR("info", log_level_names[LOG_INFO]);
    EQ_STR("debug", log_level_names[LOG_DEBUG]);
    OK(log_level_names[LOG_NLEVELS] == NULL);
}

TEST(control_characters_cannot_break_a_line_or_a_terminal)
{
    listen();
    log_info("agent", "a\nb\r\t\x1b[31m\x7f z");
    EQ_STR("info agent: a\\x0ab\\x0d\\x09\\x1b[31m\\x7f z\n", rest_of(heard()));
}

TEST(c1_controls_are_escaped)
{
    listen();
    log_info("agent", "%s",
             "\xc2\x9b"
             "31m \xc2\x85 \xc2\xa9");
    EQ_STR("info agent: \\xc2\\x9b31m \\xc2\\x85 \xc2\xa9\n", rest_of(heard()));
}

TEST(bytes_that_are_not_utf8_are_escaped)
{
    listen();
    log_info("agent", "%s", "\xff\xfe \xe2\x82 \xed\xa0\x80");
    EQ_STR("info agent: \\xff\\xfe \\xe2\\x82 \\xed\\xa0\\x80\n",
           rest_of(heard()));
}

TEST(letters_of_all_tongues_are_kept)
{
    listen();
    log_info("agent", "%s", "\xc3\xa9 \xd7\xa9 \xe2\x82\xac \xf0\x9f\x90\xa7");
    EQ_STR("info agent: \xc3\xa9 \xd7\xa9 \xe2\x82\xac \xf0\x9f\x90\xa7\n",
           rest_of(heard()));
}

/* Unicode's Bidi_Control, and the separators of lines and paragraphs. */
TEST(marks_that_turn_text_about_are_escaped)
{
    static const char *const marks[] = {
        "\xd8\x9c",                                     /* U+061C */
        "\xe2\x80\x8e", "\xe2\x80\x8f",                 /* U+200E, U+200F */
        "\xe2\x80\xa8", "\xe2\x80\xa9",                 /* U+2028, U+2029 */
        "\xe2\x80\xaa", "\xe2\x80\xab", "\xe2\x80\xac", /* U+202A to */
        "\xe2\x80\xad", "\xe2\x80\xae",                 /* U+202E */
        "\xe2\x81\xa6", "\xe2\x81\xa7", "\xe2\x81\xa8", /* U+2066 to */
        "\xe2\x81\xa9",                                 /* U+2069 */
    };

    for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
        listen();
        log_info("agent", "a%sz", marks[i]);
        if (strstr(heard(), marks[i]) != NULL)
            FAIL("mark %zu of the list was written as it is", i);
        HAS(said, "a\\x");
    }
}

TEST(a_text_that_is_too_long_is_cut_and_still_a_line)
{
    static char text[20000];

    memset(text, '\n', sizeof(text) - 1);
    listen();
    log_info("agent", "%s", text);
    heard();
    OK(strlen(said) > 1000 && strlen(said) <= 4096);
    EQ('\n', said[strlen(said) - 1]);
    OK(strchr(said, '\n') == said + strlen(said) - 1);
    memset(text, 'x', sizeof(text) - 1);
    listen();
    log_info(text, "%s", text);
    heard();
    OK(strlen(said) > 1000 && strlen(said) <= 4096);
    EQ('\n', said[strlen(said) - 1]);
}

TEST(a_standard_error_that_is_gone_does_no_harm)
{
    kept = dup(STDERR_FILENO);
    close(STDERR_FILENO);
    log_error("agent", "nobody hears this");
    dup2(kept, STDERR_FILENO);
    close(kept);
}

static void clear(void)
{
    OK(write(STDERR_FILENO, "<", 1) == 1);
}

TEST(a_line_of_the_terminal_is_cleared_before)
{
    listen();
    log_set_clear(clear);
    log_info("agent", "one");
    log_debug("agent", "not this");
    log_set_clear(NULL);
    log_info("agent", "two");
    heard();
    EQ('<', said[0]);
    HAS(said, "one\n2");
    OK(strchr(said + 1, '<') == NULL);
}

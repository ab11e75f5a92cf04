#include <float.h>
#include <locale.h>
#include <math.h>

#include "check.h"
#include "rcp_errno.h"
#include "rcp_json.h"

typedef struct fixture {
    rcp_sink_t sink;
    rcp_json_t json;
} fixture_t;

static void set_up(fixture_t *f)
{
    rcp_sink_init_memory(&f->sink, NULL);
    rcp_json_init(&f->json, &f->sink);
}

static void check_text(fixture_t *f, const char *expected)
{
    size_t size;
    const char *data = rcp_sink_data(&f->sink, &size);
    CHECK_TEXT(data, size, expected);
    rcp_sink_free(&f->sink);
}

void test_json_document(void)
{
    fixture_t f;
    set_up(&f);
    rcp_json_begin_object(&f.json);
    rcp_json_key(&f.json, "name", SIZE_MAX);
    rcp_json_string(&f.json, "checkout", SIZE_MAX);
    rcp_json_key(&f.json, "rows", 4);
    rcp_json_begin_array(&f.json);
    rcp_json_int(&f.json, INT64_MIN);
    rcp_json_uint(&f.json, UINT64_MAX);
    rcp_json_begin_object(&f.json);
    rcp_json_end_object(&f.json);
    rcp_json_begin_array(&f.json);
    rcp_json_end_array(&f.json);
    rcp_json_bool(&f.json, true);
    rcp_json_bool(&f.json, false);
    rcp_json_end_array(&f.json);
    rcp_json_key(&f.json, "", 0);
    rcp_json_null(&f.json);
    rcp_json_end_object(&f.json);
    CHECK_EQ(rcp_json_end(&f.json), 0);
    check_text(&f, "{\"name\":\"checkout\",\"rows\":[-9223372036854775808,18446744073709551615,{},[],true,false],"
                   "\"\":null}");
}

static void check_string(const char *bytes, size_t size, const char *expected)
{
    fixture_t f;
    set_up(&f);
    CHECK_EQ(rcp_json_string(&f.json, bytes, size), 0);
    CHECK_EQ(rcp_json_end(&f.json), 0);
    check_text(&f, expected);
}

#define BAD "\xEF\xBF\xBD"

void test_json_strings(void)
{
    check_string("", 0, "\"\"");
    check_string("a\"b\\c/\x7f", 7, "\"a\\\"b\\\\c/\x7f\"");
    check_string("\b\f\n\r\t\x01\x1f", 7, "\"\\b\\f\\n\\r\\t\\u0001\\u001f\"");
    check_string("a\0b", 3, "\"a\\u0000b\"");
    check_string("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", 9, "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"");
    /* Broken: a stray continuation, cut short, overlong, a surrogate, beyond the last character, never valid. */
    check_string("a\x80z", 3, "\"a" BAD "z\"");
    check_string("\xE2\x82", 2, "\"" BAD "\"");
    check_string("\xE2\x82z", 3, "\"" BAD "z\"");
    check_string("\xC0\xAF", 2, "\"" BAD BAD "\"");
    check_string("\xE0\x9F\xBF", 3, "\"" BAD BAD BAD "\"");
    check_string("\xED\xA0\x80", 3, "\"" BAD BAD BAD "\"");
    check_string("\xF4\x90\x80\x80", 4, "\"" BAD BAD BAD BAD "\"");
    check_string("\xF0\x9F\x98\"", 4, "\"" BAD "\\\"\"");
    check_string("\xFF\xC3", 2, "\"" BAD BAD "\"");
    check_string("\xED\x9F\xBF\xEE\x80\x80", 6, "\"\xED\x9F\xBF\xEE\x80\x80\"");
}

static void check_double(double value, const char *expected)
{
    fixture_t f;
    set_up(&f);
    CHECK_EQ(rcp_json_double(&f.json, value), 0);
    check_text(&f, expected);
}

/* Whatever the locale writes for the decimal point: a comma, or a character of two bytes. */
void test_json_doubles(void)
{
    static const char *const locales[] = {"C", "de_DE.UTF-8", "ps_AF.UTF-8"};
    size_t i;
    for (i = 0; i < sizeof locales / sizeof locales[0]; i++) {
        if (setlocale(LC_ALL, locales[i]) == NULL) {
            printf("  skipped: no locale %s\n", locales[i]);
            continue;
        }
        check_double(0.1, "0.1");
        check_double(0.1 + 0.2, "0.30000000000000004");
        check_double(-812.4, "-812.4");
        check_double(1e300, "1e+300");
        check_double(3, "3");
        check_double(5e-324, "4.94065645841247e-324");
        check_double(DBL_MAX, "1.7976931348623157e+308");
        check_double(NAN, "null");
        check_double(-INFINITY, "null");
    }
    setlocale(LC_ALL, "C");
}

void test_json_misuse(void)
{
    fixture_t f;
    set_up(&f);
    CHECK_EQ(rcp_json_end(&f.json), RCP_ESTATE);             /* empty */
    rcp_json_init(&f.json, &f.sink);
    CHECK_EQ(rcp_json_key(&f.json, "a", 1), RCP_ESTATE);     /* a key outside an object */
    CHECK_EQ(rcp_json_null(&f.json), RCP_ESTATE);            /* the error sticks */
    rcp_json_init(&f.json, &f.sink);
    CHECK_EQ(rcp_json_null(&f.json), 0);
    CHECK_EQ(rcp_json_null(&f.json), RCP_ESTATE);            /* a second document */
    rcp_json_init(&f.json, &f.sink);
    CHECK_EQ(rcp_json_begin_object(&f.json), 0);
    CHECK_EQ(rcp_json_null(&f.json), RCP_ESTATE);            /* no key */
    rcp_json_init(&f.json, &f.sink);
    rcp_json_begin_object(&f.json);
    CHECK_EQ(rcp_json_end_array(&f.json), RCP_ESTATE);
    rcp_json_init(&f.json, &f.sink);
    rcp_json_begin_object(&f.json);
    rcp_json_key(&f.json, "a", 1);
    CHECK_EQ(rcp_json_key(&f.json, "b", 1), RCP_ESTATE);     /* two keys */
    rcp_json_init(&f.json, &f.sink);
    rcp_json_begin_object(&f.json);
    rcp_json_key(&f.json, "a", 1);
    CHECK_EQ(rcp_json_end_object(&f.json), RCP_ESTATE);      /* a key without value */
    rcp_json_init(&f.json, &f.sink);
    rcp_json_begin_array(&f.json);
    CHECK_EQ(rcp_json_end(&f.json), RCP_ESTATE);             /* still open */
    rcp_json_init(&f.json, &f.sink);
    CHECK_EQ(rcp_json_end_array(&f.json), RCP_ESTATE);
    rcp_sink_free(&f.sink);
}

void test_json_depth(void)
{
    fixture_t f;
    int i;
    set_up(&f);
    for (i = 0; i < RCP_JSON_DEPTH; i++) {
        if (i % 2) {
            CHECK_EQ(rcp_json_begin_object(&f.json), 0);
            CHECK_EQ(rcp_json_key(&f.json, "k", 1), 0);
        } else {
            CHECK_EQ(rcp_json_begin_array(&f.json), 0);
        }
    }
    CHECK_EQ(rcp_json_null(&f.json), 0);
    for (i = RCP_JSON_DEPTH - 1; i >= 0; i--)
        CHECK_EQ(i % 2 ? rcp_json_end_object(&f.json) : rcp_json_end_array(&f.json), 0);
    CHECK_EQ(rcp_json_end(&f.json), 0);
    rcp_json_init(&f.json, &f.sink);
    for (i = 0; i < RCP_JSON_DEPTH; i++)
        CHECK_EQ(rcp_json_begin_array(&f.json), 0);
    CHECK_EQ(rcp_json_begin_array(&f.json), RCP_EDEPTH);
    rcp_sink_free(&f.sink);
}

void test_json_out_of_memory(void)
{
    fixture_t f;
    counting_t counting = {1, 0};
    rcp_alloc_t alloc = counting_alloc(&counting);
    char text[1000];
    memset(text, 'x', sizeof text);
    rcp_sink_init_memory(&f.sink, &alloc);
    rcp_json_init(&f.json, &f.sink);
    CHECK_EQ(rcp_json_begin_array(&f.json), 0);
    CHECK_EQ(rcp_json_string(&f.json, text, sizeof text), RCP_ENOMEM);
    CHECK_EQ(rcp_json_end_array(&f.json), RCP_ENOMEM);
    rcp_sink_free(&f.sink);
    CHECK_EQ(counting.out, 0);
}

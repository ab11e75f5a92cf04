#include "rcp_json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rcp_errno.h"

void rcp_json_init(rcp_json_t *json, rcp_sink_t *sink)
{
    memset(json, 0, sizeof *json);
    json->sink = sink;
}

static int fail(rcp_json_t *json, int error)
{
    if (json->error == 0)
        json->error = error;
    return json->error;
}

static int put(rcp_json_t *json, const char *text, size_t size)
{
    int error = json->error != 0 ? json->error : rcp_sink_write(json->sink, text, size);
    return error != 0 ? fail(json, error) : 0;
}

static bool in_object(const rcp_json_t *json)
{
    return json->depth != 0 && (json->objects & 1) != 0;
}

/* What stands before a value: a comma, or nothing after a key. */
static int before_value(rcp_json_t *json)
{
    bool comma = json->filled && !json->keyed;
    if (json->error != 0)
        return json->error;
    if (in_object(json) ? !json->keyed : json->depth == 0 && json->filled)
        return fail(json, RCP_ESTATE);
    json->keyed = false;
    json->filled = true;
    return comma ? put(json, ",", 1) : 0;
}

static int begin(rcp_json_t *json, bool object)
{
    if (json->error == 0 && json->depth == RCP_JSON_DEPTH)
        return fail(json, RCP_EDEPTH);
    if (before_value(json) != 0)
        return json->error;
    json->depth++;
    json->objects = json->objects << 1 | (object ? 1 : 0);
    json->filled = false;
    return put(json, object ? "{" : "[", 1);
}

static int end(rcp_json_t *json, bool object)
{
    if (json->error != 0)
        return json->error;
    if (json->depth == 0 || in_object(json) != object || json->keyed)
        return fail(json, RCP_ESTATE);
    json->depth--;
    json->objects >>= 1;
    json->filled = true;
    return put(json, object ? "}" : "]", 1);
}

int rcp_json_end(rcp_json_t *json)
{
    if (json->depth != 0 || !json->filled)
        return fail(json, RCP_ESTATE);
    return json->error;
}

int rcp_json_begin_object(rcp_json_t *json)
{
    return begin(json, true);
}

int rcp_json_end_object(rcp_json_t *json)
{
    return end(json, true);
}

int rcp_json_begin_array(rcp_json_t *json)
{
    return begin(json, false);
}

int rcp_json_end_array(rcp_json_t *json)
{
    return end(json, false);
}

/* -- Strings ---------------------------------------------------------------------------------------------- */

/* The length of the character at `s`, of which `left` bytes are there. If it is broken *valid is false and the
 * length is that of the piece to replace: the lead byte and the continuation bytes that fit it. */
static size_t character(const unsigned char *s, size_t left, bool *valid)
{
    unsigned char lead = s[0], low = 0x80, high = 0xBF;
    size_t length, i;
    *valid = false;
    if (lead < 0x80) {
        *valid = true;
        return 1;
    }
    if (lead < 0xC2 || lead > 0xF4)
        return 1;
    length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    /* The second byte also keeps out overlong forms, surrogates and what lies beyond U+10FFFF. */
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
    for (i = 1; i < length; i++) {
        if (i == left || s[i] < low || s[i] > high)
            return i;
        low = 0x80;
        high = 0xBF;
    }
    *valid = true;
    return length;
}

static void put_escape(rcp_json_t *json, unsigned char c)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *found = c != 0 ? strchr(from, c) : NULL;
    char text[8];
    if (found != NULL) {
        text[0] = '\\';
        text[1] = to[found - from];
        put(json, text, 2);
    } else {
        snprintf(text, sizeof text, "\\u%04x", (unsigned)c);
        put(json, text, 6);
    }
}

static int put_string(rcp_json_t *json, const char *text, size_t size)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t i = 0, plain = 0;   /* bytes from `plain` to `i` need no change */
    if (size == SIZE_MAX)
        size = strlen(text);
    put(json, "\"", 1);
    while (i < size) {
        bool valid;
        size_t length = character(s + i, size - i, &valid);
        if (valid && s[i] >= 0x20 && s[i] != '"' && s[i] != '\\') {
            i += length;
            continue;
        }
        put(json, text + plain, i - plain);
        if (valid)
            put_escape(json, s[i]);
        else
            put(json, "\xEF\xBF\xBD", 3);
        i += length;
        plain = i;
    }
    put(json, text + plain, i - plain);
    return put(json, "\"", 1);
}

int rcp_json_key(rcp_json_t *json, const char *text, size_t size)
{
    if (json->error != 0)
        return json->error;
    if (!in_object(json) || json->keyed)
        return fail(json, RCP_ESTATE);
    if (json->filled)
        put(json, ",", 1);
    put_string(json, text, size);
    json->keyed = true;
    return put(json, ":", 1);
}

int rcp_json_string(rcp_json_t *json, const char *text, size_t size)
{
    return before_value(json) != 0 ? json->error : put_string(json, text, size);
}

/* -- Numbers and names ------------------------------------------------------------------------------------ */

static int put_value(rcp_json_t *json, const char *text)
{
    return before_value(json) != 0 ? json->error : put(json, text, strlen(text));
}

int rcp_json_int(rcp_json_t *json, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    return put_value(json, text);
}

int rcp_json_uint(rcp_json_t *json, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    return put_value(json, text);
}

int rcp_json_double(rcp_json_t *json, double value)
{
    char text[40], json_text[40];
    size_t from, to = 0;
    int digits;
    if (!isfinite(value))
        return rcp_json_null(json);
    for (digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    /* The C locale in force may write the decimal point in another way, even as several bytes. */
    for (from = 0; text[from] != '\0'; from++) {
        if (strchr("0123456789+-e", text[from]) != NULL)
            json_text[to++] = text[from];
        else if (json_text[to - 1] != '.')
            json_text[to++] = '.';
    }
    json_text[to] = '\0';
    return put_value(json, json_text);
}

int rcp_json_bool(rcp_json_t *json, bool value)
{
    return put_value(json, value ? "true" : "false");
}

int rcp_json_null(rcp_json_t *json)
{
    return put_value(json, "null");
}

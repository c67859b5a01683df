#include "server/http_head.h"

#include "base/buffer.h"
#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HEAD_MAX 1024
#define BODY_MAX 64

#define GET     "GET / HTTP/1.1\r\n"
#define POST    "POST /p HTTP/1.1\r\nHost: a\r\n"
#define LENGTH  "Content-Length: "
#define CODING  "Transfer-Encoding: "
#define UPGRADE "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
#define CHUNK   POST CODING "chunked\r\n\r\n"

/* What came out of one stream of bytes, with the requests written one after another as
 * "METHOD path?query@host body|". */
struct outcome {
    char log[4096];
    enum weir_code code;
    char text[220];
};

static void note(struct outcome *o, struct str s)
{
    size_t n = strlen(o->log);
    assert_true(n + s.len < sizeof(o->log));
    memcpy(o->log + n, s.data ? s.data : "", s.len);
    o->log[n + s.len] = '\0';
}

static void note_head(struct outcome *o, const struct http_request *r)
{
    note(o, r->method), note(o, STR(" ")), note(o, r->path);
    if (r->query.len)
        note(o, STR("?")), note(o, r->query);
    note(o, STR("@")), note(o, r->host);
    note(o, r->keep_alive ? STR(" ") : STR(" close "));
}

/* Feeds `step` bytes at a time, as a connection does. */
static struct outcome run(struct str bytes, size_t step)
{
    struct http_head *h = http_head_create(HEAD_MAX, BODY_MAX);
    struct outcome o = { .log = "" };
    for (size_t at = 0; at < bytes.len && o.code == WEIR_OK; at += step) {
        struct str in = { bytes.data + at, bytes.len - at < step ? bytes.len - at : step };
        struct http_event e = { .kind = HTTP_EVENT_BODY };
        while (e.kind != HTTP_EVENT_MORE && o.code == WEIR_OK) {
            size_t n = http_head_feed(h, in, &e);
            assert_true(n <= in.len);
            in = (struct str){ in.data + n, in.len - n };
            if (e.kind == HTTP_EVENT_HEAD)
                note_head(&o, http_head_request(h));
            if (e.kind == HTTP_EVENT_BODY)
                note(&o, e.body);
            if (e.kind == HTTP_EVENT_DONE ||
                (e.kind == HTTP_EVENT_HEAD && !http_head_request(h)->has_body)) {
                note(&o, STR("|"));
                http_head_reset(h);
            }
            if (e.kind == HTTP_EVENT_BAD) {
                o.code = e.error.code;
                memcpy(o.text, e.error.text, sizeof(o.text));
            }
        }
        if (o.code == WEIR_OK)
            assert_int_equal(in.len, 0);
    }
    http_head_destroy(h);
    return o;
}

struct legal {
    const char *bytes;
    const char *log;
};

static const struct legal legal[] = {
    {GET "Host: a\r\n\r\n",                                          "GET /@a |"                  },
    { "GET /x?y=1&z HTTP/1.1\r\nHost: a:80\r\n\r\n",                 "GET /x?y=1&z@a:80 |"        },
    { "\r\n" GET "Host: a\r\n\r\n",                                  "GET /@a |"                  },
    { GET "hOST:a\r\n\r\n" GET "HOST: \t b \t\r\n\r\n",              "GET /@a |GET /@b |"         },
    { GET "Host: a\r\nConnection: close\r\n\r\n",                    "GET /@a close |"            },
    { "GET / HTTP/1.0\r\n\r\n",                                      "GET /@ close |"             },
    { "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", "GET /@a |"                  },
    { "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",                       "OPTIONS *@a |"              },
    { "GET http://b:1/x?q HTTP/1.1\r\nHost: a\r\n\r\n",              "GET /x?q@b:1 |"             },
    { "GET http://b HTTP/1.1\r\nHost: a\r\n\r\n",                    "GET /@b |"                  },
    { "GET http://b?q HTTP/1.1\r\nHost: a\r\n\r\n",                  "GET /?q@b |"                },
    { POST LENGTH "3\r\n\r\nabc",                                    "POST /p@a abc|"             },
    { POST LENGTH "0\r\n\r\n" GET "Host: b\r\n\r\n",                 "POST /p@a |GET /@b |"       },
    { POST LENGTH "3\r\n\r\nabc\r\n" GET "Host: b\r\n\r\n",          "POST /p@a abc|GET /@b |"    },
    { POST LENGTH "003\r\n\r\nabc",                                  "POST /p@a abc|"             },
    { CHUNK "3\r\nabc\r\n0\r\n\r\n",                                 "POST /p@a abc|"             },
    { CHUNK "1\r\na\r\nA\r\n0123456789\r\n0\r\n\r\n",                "POST /p@a a0123456789|"     },
    { CHUNK "1\r\na\r\n0\r\n\r\n" GET "Host: b\r\n\r\n",             "POST /p@a a|GET /@b |"      },
    { CHUNK "3;a=b\r\nabc\r\n000\r\nX-Trailer: 1\r\nY: 2\r\n\r\n",   "POST /p@a abc|"             },
    { POST "TRANSFER-ENCODING: Chunked\r\n\r\n0\r\n\r\n",            "POST /p@a |"                },
    { POST "Expect: 100-CONTINUE\r\n\r\n",                           "POST /p@a |"                },
    { "GET / HTTP/1.0\r\nExpect: more\r\n\r\n",                      "GET /@ close |"             },
    { POST LENGTH "3\r\n" UPGRADE "\r\nabc",                         "POST /p@a abc|"             },
    { GET "Host: a\r\n" UPGRADE "\r\n" GET "Host: b\r\n\r\n",        "GET /@a |GET /@b |"         },
    { GET "Host: a\r\nX: \xc3\xa9\r\nEmpty:\r\n\r\n",                "GET /@a |"                  },
    { "DELETE /v1/models/a%2Fb HTTP/1.1\r\nHost: a\r\n\r\n",         "DELETE /v1/models/a%2Fb@a |"},
};

struct hostile {
    enum weir_code code;
    const char *bytes;
};

static const struct hostile hostile[] = {
    {WEIR_INVALID,         "GET / HTTP/1.1\nHost: a\n\n"                                     },
    { WEIR_INVALID,        GET "Host: a\n\r\n"                                               },
    { WEIR_INVALID,        GET "Host: a\r\n\n"                                               },
    { WEIR_INVALID,        GET "Host: a\rX: b\r\n\r\n"                                       },
    { WEIR_INVALID,        GET "Host: a\r\r\n\r\n"                                           },
    { WEIR_INVALID,        "\n" GET "Host: a\r\n\r\n"                                        },
    { WEIR_INVALID,        "\r" GET "Host: a\r\n\r\n"                                        },
    { WEIR_INVALID,        "\r\n\r\n" GET "Host: a\r\n\r\n"                                  },
    { WEIR_INVALID,        GET "Host : a\r\n\r\n"                                            },
    { WEIR_INVALID,        GET " Host: a\r\n\r\n"                                            },
    { WEIR_INVALID,        GET "Host: a\r\nX: 1\r\n 2\r\n\r\n"                               },
    { WEIR_INVALID,        GET "Host: a\r\nX: 1\r\n\t2\r\n\r\n"                              },
    { WEIR_INVALID,        GET "Host: a\r\nno colon\r\n\r\n"                                 },
    { WEIR_INVALID,        GET "Host: a\r\n: nameless\r\n\r\n"                               },
    { WEIR_INVALID,        GET "Host: a\r\nX\x01: 1\r\n\r\n"                                 },
    { WEIR_INVALID,        GET "Host: a\r\nX: \x01\r\n\r\n"                                  },
    { WEIR_INVALID,        GET "Host: a\r\nX: \x7f\r\n\r\n"                                  },
    { WEIR_INVALID,        GET "Host: a\r\nX\xc3\xa9: 1\r\n\r\n"                             },
    { WEIR_INVALID,        GET "\r\n"                                                        },
    { WEIR_INVALID,        GET "Host:\r\n\r\n"                                               },
    { WEIR_INVALID,        GET "Host: a\r\nHost: a\r\n\r\n"                                  },
    { WEIR_INVALID,        "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"                    },
    { WEIR_INVALID,        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"                              },
    { WEIR_INVALID,        "GET /  HTTP/1.1\r\nHost: a\r\n\r\n"                              },
    { WEIR_INVALID,        "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"                              },
    { WEIR_INVALID,        "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"                            },
    { WEIR_INVALID,        "GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n"                       },
    { WEIR_INVALID,        "GET /\t HTTP/1.1\r\nHost: a\r\n\r\n"                             },
    { WEIR_INVALID,        "GET x HTTP/1.1\r\nHost: a\r\n\r\n"                               },
    { WEIR_INVALID,        "GET * HTTP/1.1\r\nHost: a\r\n\r\n"                               },
    { WEIR_INVALID,        "GET http:// HTTP/1.1\r\nHost: a\r\n\r\n"                         },
    { WEIR_INVALID,        "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n"                       },
    { WEIR_INVALID,        "GET / HTTP/2.0\r\nHost: a\r\n\r\n"                               },
    { WEIR_INVALID,        "GET / HTTP/1.2\r\nHost: a\r\n\r\n"                               },
    { WEIR_INVALID,        "GET / HTTP/01.1\r\nHost: a\r\n\r\n"                              },
    { WEIR_INVALID,        "GET / http/1.1\r\nHost: a\r\n\r\n"                               },
    { WEIR_INVALID,        "GET /\r\n\r\n"                                                   },
    { WEIR_INVALID,        "get / HTTP/1.1\r\nHost: a\r\n\r\n"                               },
    { WEIR_INVALID,        "BREW / HTTP/1.1\r\nHost: a\r\n\r\n"                              },
    { WEIR_INVALID,        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"                                },
    { WEIR_INVALID,        "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n"                        },
    { WEIR_INVALID,        "\x16\x03\x01\x02\x01\x01"                                        },
    { WEIR_INVALID,        POST LENGTH "3\r\nContent-Length: 3\r\n\r\nabc"                   },
    { WEIR_INVALID,        POST LENGTH "3\r\nContent-Length: 4\r\n\r\nabc"                   },
    { WEIR_INVALID,        POST LENGTH "3, 3\r\n\r\nabc"                                     },
    { WEIR_INVALID,        POST LENGTH "+3\r\n\r\nabc"                                       },
    { WEIR_INVALID,        POST LENGTH "-3\r\n\r\nabc"                                       },
    { WEIR_INVALID,        POST LENGTH "0x3\r\n\r\nabc"                                      },
    { WEIR_INVALID,        POST LENGTH "3 3\r\n\r\nabc"                                      },
    { WEIR_INVALID,        POST "Content-Length:\r\n\r\n"                                    },
    { WEIR_INVALID,        POST LENGTH "99999999999999999999999\r\n\r\n"                     },
    { WEIR_INVALID,        POST LENGTH "3\r\nTransfer-Encoding: chunked\r\n\r\n"             },
    { WEIR_INVALID,        POST CODING "chunked\r\nContent-Length: 3\r\n\r\n"                },
    { WEIR_INVALID,        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"},
    { WEIR_UNSUPPORTED,    POST CODING "gzip\r\n\r\n"                                        },
    { WEIR_UNSUPPORTED,    POST CODING "gzip, chunked\r\n\r\n"                               },
    { WEIR_UNSUPPORTED,    POST CODING "chunked, chunked\r\n\r\n"                            },
    { WEIR_UNSUPPORTED,    POST CODING "xchunked\r\n\r\n"                                    },
    { WEIR_UNSUPPORTED,    POST CODING "chunked\r\n" CODING "identity\r\n\r\n"               },
    { WEIR_INVALID,        "BREW / HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n"              },
    { WEIR_EXPECTATION,    POST "Expect: more\r\n\r\n"                                       },
    { WEIR_EXPECTATION,    POST "Expect: 100-continue, more\r\n\r\n"                         },
    { WEIR_EXPECTATION,    POST "Expect:\r\n\r\n"                                            },
    { WEIR_EXPECTATION,    POST "Expect: more\r\nExpect: 100-continue\r\n\r\n"               },
    { WEIR_BODY_TOO_LARGE, POST LENGTH "65\r\n\r\n"                                          },
    { WEIR_BODY_TOO_LARGE, CHUNK "41\r\n"                                                    },
    { WEIR_BODY_TOO_LARGE, CHUNK "fffffffffffffff\r\n"                                       },
    { WEIR_BODY_TOO_LARGE, CHUNK "20\r\n01234567890123456789012345678901\r\n21\r\n"          },
    { WEIR_INVALID,        CHUNK "0000000000000000\r\n"                                      },
    { WEIR_INVALID,        CHUNK "3\r\nabcXX0\r\n\r\n"                                       },
    { WEIR_INVALID,        CHUNK "3\nabc\r\n0\r\n\r\n"                                       },
    { WEIR_INVALID,        CHUNK "3\r\nabc\n0\r\n\r\n"                                       },
    { WEIR_INVALID,        CHUNK "3\rXabc\r\n0\r\n\r\n"                                      },
    { WEIR_INVALID,        CHUNK "3 \r\nabc\r\n0\r\n\r\n"                                    },
    { WEIR_INVALID,        CHUNK "+3\r\nabc\r\n0\r\n\r\n"                                    },
    { WEIR_INVALID,        CHUNK "\r\n3\r\nabc\r\n0\r\n\r\n"                                 },
    { WEIR_INVALID,        CHUNK "3;a\n\r\nabc\r\n0\r\n\r\n"                                 },
    { WEIR_INVALID,        CHUNK "0\r\nX: 1\n\r\n"                                           },
    { WEIR_INVALID,        CHUNK "0\r\n\n"                                                   },
    { WEIR_INVALID,        CHUNK "0\r\nX: 1\rY\r\n"                                          },
};

/* However the bytes are cut, the outcome is the same. */
static const size_t steps[] = { 100000, 1, 2, 3, 7 };

static void legal_requests_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(legal); i++)
        for (size_t k = 0; k < ARRAY_COUNT(steps); k++) {
            struct outcome o = run(str_of(legal[i].bytes), steps[k]);
            if (o.code != WEIR_OK)
                print_message("refused: %s\n%s\n", legal[i].bytes, o.text);
            assert_int_equal(o.code, WEIR_OK);
            assert_string_equal(o.log, legal[i].log);
        }
}

static void hostile_requests_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(hostile); i++)
        for (size_t k = 0; k < ARRAY_COUNT(steps); k++) {
            struct outcome o = run(str_of(hostile[i].bytes), steps[k]);
            if (o.code != hostile[i].code)
                print_message("code %d: %s\n", o.code, hostile[i].bytes);
            assert_int_equal(o.code, hostile[i].code);
            assert_true(strlen(o.text) > 10);
        }
}

static void nul_in_a_head_is_refused(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_COUNT(steps); k++)
        assert_int_equal(run(STR("GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n"), steps[k]).code,
                         WEIR_INVALID);
}

static void head_limit_is_exact(void **state)
{
    char bytes[HEAD_MAX + 2];
    (void)state;
    for (size_t len = HEAD_MAX - 1; len <= HEAD_MAX + 1; len++) {
        static const char start[] = GET "Host: a\r\nX: ";
        memset(bytes, 'x', sizeof(bytes));
        memcpy(bytes, start, sizeof(start) - 1);
        memcpy(bytes + len - 4, "\r\n\r\n", 4);
        enum weir_code expected = len <= HEAD_MAX ? WEIR_OK : WEIR_HEAD_TOO_LARGE;
        for (size_t k = 0; k < ARRAY_COUNT(steps); k++)
            assert_int_equal(run((struct str){ bytes, len }, steps[k]).code, expected);
    }
}

static void endless_head_is_refused_before_its_end(void **state)
{
    char bytes[HEAD_MAX + 1];
    (void)state;
    memset(bytes, 'a', sizeof(bytes));
    memcpy(bytes, "GET /", 5);
    for (size_t k = 0; k < ARRAY_COUNT(steps); k++)
        assert_int_equal(run((struct str){ bytes, sizeof(bytes) }, steps[k]).code,
                         WEIR_HEAD_TOO_LARGE);
    memcpy(bytes, "get /", 5); /* what is wrong before the limit was wrong first */
    for (size_t k = 0; k < ARRAY_COUNT(steps); k++)
        assert_int_equal(run((struct str){ bytes, sizeof(bytes) }, steps[k]).code, WEIR_INVALID);
}

static void fields_are_counted(void **state)
{
    (void)state;
    for (int fields = 99; fields <= 101; fields++) {
        struct buffer b;
        buffer_init(&b, 4096);
        buffer_text(&b, GET "Host: a\r\n");
        for (int i = 1; i < fields; i++)
            buffer_text(&b, "X: 1\r\n");
        buffer_text(&b, "\r\n");
        assert_true(b.len <= HEAD_MAX);
        assert_int_equal(run(buffer_view(&b), 100000).code,
                         fields <= 100 ? WEIR_OK : WEIR_HEAD_TOO_LARGE);
        buffer_finish(&b);
    }
}

static void chunk_framing_is_bounded(void **state)
{
    struct buffer b;
    (void)state;
    buffer_init(&b, 64 * 1024);
    buffer_text(&b, CHUNK "1;");
    for (int i = 0; i < 2 * HEAD_MAX; i++)
        buffer_text(&b, "x");
    for (size_t k = 0; k < ARRAY_COUNT(steps); k++)
        assert_int_equal(run(buffer_view(&b), steps[k]).code, WEIR_INVALID);
    buffer_clear(&b);
    buffer_text(&b, CHUNK); /* as many one-byte chunks as a body may have are no offence */
    for (int i = 0; i < BODY_MAX; i++)
        buffer_text(&b, "1\r\nx\r\n");
    buffer_text(&b, "0\r\n\r\n");
    for (size_t k = 0; k < ARRAY_COUNT(steps); k++)
        assert_int_equal(run(buffer_view(&b), steps[k]).code, WEIR_OK);
    buffer_finish(&b);
}

static void fields_are_found(void **state)
{
    struct str in = STR(POST "Content-Type:  application/json \r\nX-Empty:\r\nx-two: 1\r\nX-Two: "
                             "2\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n");
    struct http_event e;
    struct http_head *h = http_head_create(HEAD_MAX, BODY_MAX);
    (void)state;
    assert_false(http_head_is_begun(h));
    assert_int_equal(http_head_feed(h, in, &e), in.len);
    assert_int_equal(e.kind, HTTP_EVENT_HEAD);
    assert_true(http_head_is_begun(h));
    assert_true(http_head_request(h)->expects_continue);
    assert_true(http_head_request(h)->has_body);
    assert_true(str_eq(http_head_field(h, STR("content-TYPE")), STR("application/json")));
    assert_true(str_eq(http_head_field(h, STR("x-two")), STR("1")));
    assert_non_null(http_head_field(h, STR("x-empty")).data);
    assert_int_equal(http_head_field(h, STR("x-empty")).len, 0);
    assert_null(http_head_field(h, STR("post /p http/1.1")).data);
    assert_null(http_head_field(h, STR("x")).data);
    http_head_reset(h);
    assert_false(http_head_is_begun(h));
    assert_null(http_head_field(h, STR("x-two")).data);
    http_head_destroy(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(legal_requests_are_read),
        cmocka_unit_test(hostile_requests_are_refused),
        cmocka_unit_test(nul_in_a_head_is_refused),
        cmocka_unit_test(head_limit_is_exact),
        cmocka_unit_test(endless_head_is_refused_before_its_end),
        cmocka_unit_test(fields_are_counted),
        cmocka_unit_test(chunk_framing_is_bounded),
        cmocka_unit_test(fields_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

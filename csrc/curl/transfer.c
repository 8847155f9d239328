#include "transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A larger header is refused. No honest server comes near. */
#define HEADER_BYTES ((size_t)256 * 1024)

/* libcurl's receive buffer: a page of runs takes one or two reads. */
#define RECEIVE_BYTES 131072L

static const char too_large_body[] = "the response is larger than max_body_bytes";
static const char too_large_head[] = "the header of the response, or one line of it, is too large";
static const char no_memory[] = "not enough memory for the response";

/* ---- kits ---------------------------------------------------------------------------------------------------- */

struct retab_kit *retab_kit_new(void)
{
    struct retab_kit *kit = calloc(1, sizeof *kit);
    if (kit != NULL && (kit->easy = curl_easy_init()) == NULL) {
        free(kit);
        return NULL;
    }
    return kit;
}

void retab_kit_free(struct retab_kit *kit)
{
    curl_easy_cleanup(kit->easy);
    free(kit->head.bytes);
    free(kit->body.bytes);
    free(kit);
}

void retab_kit_reset(struct retab_kit *kit)
{
    curl_easy_reset(kit->easy);
    kit->head.length = kit->body.length = 0;
}

/* Returns nonzero if there is room for `more` bytes after those that are there. */
static int reserve(struct retab_buffer *buffer, size_t more)
{
    const size_t need = buffer->length + more;
    if (need <= buffer->room) {
        return 1;
    }
    const size_t room = need > buffer->room * 2 ? need : buffer->room * 2;
    char *larger = realloc(buffer->bytes, room);
    if (larger == NULL) {
        return 0;
    }
    buffer->bytes = larger;
    buffer->room = room;
    return 1;
}

/* ---- libcurl's callbacks: they never call Lua ---------------------------------------------------------------- */

/* Refuses the response. Returns the number of bytes consumed, as libcurl requires: any other number ends it. */
static size_t refuse(struct retab_transfer *transfer, const char *reason)
{
    transfer->refused = reason;
    return 0;
}

/* Appends bytes and a NUL. Returns the number of bytes consumed. */
static size_t append(struct retab_transfer *transfer, struct retab_buffer *buffer, const char *bytes, size_t length)
{
    if (!reserve(buffer, length + 1)) {
        return refuse(transfer, no_memory);
    }
    memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length += length;
    buffer->bytes[buffer->length] = '\0';
    return length;
}

/* Called for each line: a status line, header fields, an empty line, perhaps all of it again after an interim response,
 * and after the body for trailers. */
static size_t on_header(char *bytes, size_t size, size_t count, void *context)
{
    struct retab_transfer *transfer = context;
    struct retab_buffer *head = &transfer->kit->head;
    const size_t length = size * count;
    transfer->head_bytes += length;
    if (transfer->head_bytes > HEADER_BYTES) {
        return refuse(transfer, too_large_head);
    }
    if (!transfer->in_head && length >= 5 && memcmp(bytes, "HTTP/", 5) == 0) {
        transfer->in_head = 1;
        head->length = 0; /* an interim response may come first */
        return length;
    }
    if (length == 0 || *bytes == '\r' || *bytes == '\n') {
        transfer->in_head = 0;
        return length;
    }
    return append(transfer, head, bytes, length);
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct retab_transfer *transfer = context;
    struct retab_buffer *body = &transfer->kit->body;
    const size_t length = size * count;
    if (length > transfer->max_body - body->length) {
        return refuse(transfer, too_large_body);
    }
    if (body->length == 0) {
        curl_off_t expected = -1;
        curl_easy_getinfo(transfer->kit->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &expected);
        if (expected > 0 && (uint64_t)expected <= transfer->max_body) {
            (void)reserve(body, (size_t)expected + 1); /* a smaller room may still be enough */
        }
    }
    return append(transfer, body, bytes, length);
}

/* ---- the request --------------------------------------------------------------------------------------------- */

static int has_header(const struct curl_slist *headers, const char *name)
{
    const size_t length = strlen(name);
    for (; headers != NULL; headers = headers->next) {
        if (curl_strnequal(headers->data, name, length) && strchr(":;", headers->data[length]) != NULL) {
            return 1;
        }
    }
    return 0;
}

/* Removes a header that libcurl adds unless told otherwise. */
static CURLcode suppress_header(struct retab_transfer *transfer, const char *name, const char *line)
{
    if (has_header(transfer->headers, name)) {
        return CURLE_OK;
    }
    struct curl_slist *longer = curl_slist_append(transfer->headers, line);
    if (longer == NULL) {
        return CURLE_OUT_OF_MEMORY;
    }
    transfer->headers = longer;
    return CURLE_OK;
}

/* A POST, perhaps with an empty body. */
static CURLcode set_post(struct retab_transfer *transfer, const struct retab_request *request)
{
    CURL *easy = transfer->kit->easy;
    CURLcode code = suppress_header(transfer, "Content-Type", "Content-Type:");
    if (code == CURLE_OK) {
        code = suppress_header(transfer, "Expect", "Expect:");
    }
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
    /* libcurl repeats a request if the kept connection that it used breaks: a POST must not reach a server twice */
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    return code != CURLE_OK ? code : curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, request->body ? request->body : "");
}

static CURLcode set_method(struct retab_transfer *transfer, const struct retab_request *request)
{
    const int posts = request->body != NULL || strcmp(request->method, "POST") == 0;
    const CURLcode code = posts ? set_post(transfer, request) : CURLE_OK;
    if (code != CURLE_OK || strcmp(request->method, posts ? "POST" : "GET") == 0) {
        return code;
    }
    return curl_easy_setopt(transfer->kit->easy, CURLOPT_CUSTOMREQUEST, request->method);
}

/* Sets the options that can fail, since they copy a string. */
static CURLcode set_strings(struct retab_transfer *transfer, const struct retab_request *request)
{
    /* if either is given, libcurl must not add its own default for the other one */
    const int has_trust = request->ca_file != NULL || request->ca_path != NULL;
    const struct {
        int is_given;
        CURLoption option;
        const char *value;
    } strings[] = {{1, CURLOPT_ACCEPT_ENCODING, ""},
                   {has_trust, CURLOPT_CAINFO, request->ca_file},
                   {has_trust, CURLOPT_CAPATH, request->ca_path},
                   {request->proxy != NULL, CURLOPT_PROXY, request->proxy}};
    CURL *easy = transfer->kit->easy;
#if CURL_AT_LEAST_VERSION(7, 85, 0)
    CURLcode code = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    CURLcode code = curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    for (size_t i = 0; code == CURLE_OK && i < sizeof strings / sizeof *strings; i++) {
        code = strings[i].is_given ? curl_easy_setopt(easy, strings[i].option, strings[i].value) : CURLE_OK;
    }
    code = code == CURLE_OK ? set_method(transfer, request) : code;
    if (code != CURLE_OK) {
        (void)snprintf(transfer->message, sizeof transfer->message, "libcurl refuses the request: %s",
                       curl_easy_strerror(code));
        return code;
    }
    code = curl_easy_setopt(easy, CURLOPT_URL, request->url);
    if (code != CURLE_OK) {
        (void)snprintf(transfer->message, sizeof transfer->message, "the URL is too long (%zu bytes)",
                       strlen(request->url));
    }
    return code;
}

/* Tells libcurl too, which divides the time for a connection among the addresses of the server. */
static void set_connect_timeout(struct retab_transfer *transfer)
{
    const int64_t limit = (int64_t)INT32_MAX;
    const int64_t milliseconds = (transfer->deadline.connect_timeout + transfer->deadline.credit) / 1000 + 1;
    curl_easy_setopt(transfer->kit->easy, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)(milliseconds < limit ? milliseconds : limit));
}

CURLcode retab_transfer_prepare(struct retab_transfer *transfer, const struct retab_request *request)
{
    CURL *easy = transfer->kit->easy;
    const CURLcode code = set_strings(transfer, request);
    if (code != CURLE_OK) {
        return code;
    }
    transfer->deadline =
        (struct retab_deadline){request->timeout, request->connect_timeout, request->expires, RETAB_NEVER, 0};
    transfer->max_body = request->max_body;
    set_connect_timeout(transfer);
#if CURL_AT_LEAST_VERSION(7, 87, 0)
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* a name server that hangs does not delay a timeout */
#endif
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, RECEIVE_BYTES);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->message);
    return CURLE_OK;
}

int retab_transfer_is_connected(const struct retab_transfer *transfer)
{
    curl_off_t took = 0;
    curl_easy_getinfo(transfer->kit->easy, CURLINFO_PRETRANSFER_TIME_T, &took);
    return took > 0;
}

void retab_transfer_credit(struct retab_transfer *transfer, int64_t interval)
{
    transfer->deadline.credit += interval;
    set_connect_timeout(transfer);
}

/* ---- the end ------------------------------------------------------------------------------------------------- */

/* A server that asks for a client certificate says so with an alert: in the handshake, where TLS 1.2 only knows a
 * general one, or with TLS 1.3 when the response is read. Returns the words for it, or NULL. */
static const char *refused_certificate(CURLcode code, const char *message)
{
    if (code == CURLE_SSL_CLIENTCERT || strstr(message, "certificate required") != NULL) {
        return "the server asks for a client certificate, which this library does not have";
    }
    if (code == CURLE_SSL_CONNECT_ERROR && strstr(message, "alert handshake failure") != NULL) {
        return "the server refuses the TLS handshake: it may ask for a client certificate, which this library does not "
               "have";
    }
    return NULL;
}

/* Returns nonzero if libcurl's own limits have ended the transfer: that of a header line is a little over 100,000
 * bytes, and before libcurl 8 a longer one counts as missing memory. */
static int is_too_large(CURLcode code, int in_head)
{
    const int curle_too_large = 100; /* CURLE_TOO_LARGE, since 8.6 */
    return (int)code == curle_too_large || (code == CURLE_OUT_OF_MEMORY && in_head);
}

static const char *kind_of(CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return NULL;
    case CURLE_OPERATION_TIMEDOUT:
        return "timeout";
    case CURLE_WRITE_ERROR: /* of libcurl's decompression: our own callbacks refuse with a reason */
    case CURLE_BAD_CONTENT_ENCODING:
        return "decode";
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return "tls";
    default:
        return "connection";
    }
}

void retab_transfer_fail(struct retab_transfer *transfer, const char *kind, const char *message)
{
    transfer->kind = kind;
    (void)snprintf(transfer->message, sizeof transfer->message, "%s", message);
}

void retab_transfer_conclude(struct retab_transfer *transfer, CURLcode code)
{
    const char *refusal = refused_certificate(code, transfer->message);
    if (transfer->refused != NULL) {
        retab_transfer_fail(transfer, transfer->refused == no_memory ? "connection" : "too_large", transfer->refused);
    } else if (code == CURLE_OK && (transfer->in_head || transfer->status < 200)) {
        retab_transfer_fail(transfer, "connection", "the connection was closed inside the header of the response");
    } else if (code == CURLE_OPERATION_TIMEDOUT) { /* only the time for a connection is libcurl's */
        retab_transfer_conclude_late(transfer, RETAB_LATE_CONNECTION);
    } else if (refusal != NULL) {
        retab_transfer_fail(transfer, "tls", refusal);
    } else if (is_too_large(code, transfer->in_head)) {
        retab_transfer_fail(transfer, "too_large", too_large_head);
    } else {
        transfer->kind = kind_of(code);
        if (transfer->kind != NULL && transfer->message[0] == '\0') {
            retab_transfer_fail(transfer, transfer->kind, curl_easy_strerror(code));
        }
    }
}

void retab_transfer_conclude_late(struct retab_transfer *transfer, enum retab_late late)
{
    const struct retab_deadline *deadline = &transfer->deadline;
    if (late == RETAB_LATE_CALL) {
        retab_transfer_fail(transfer, "timeout", "no response before the deadline of the call");
    } else {
        const int connecting = late == RETAB_LATE_CONNECTION;
        transfer->kind = "timeout";
        (void)snprintf(transfer->message, sizeof transfer->message, "no %s within %g s",
                       connecting ? "connection" : "response",
                       (double)(connecting ? deadline->connect_timeout : deadline->timeout) / 1e6);
    }
}

#include "transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "process.h"

/* A larger header is refused. */
#define HEADER_BYTES ((size_t)256 * 1024)

/* libcurl's receive buffer: a page of runs takes two reads. */
#define RECEIVE_BYTES 32768L

/* The initial size of a buffer: most headers fit. */
#define FIRST_ROOM ((size_t)1024)

static const char too_large_body[] = "the response is larger than max_body_bytes";
static const char too_large_head[] = "the header of the response, or one line of it, is too large";
static const char no_memory[] = "not enough memory for the response";

/* ---- libcurl's callbacks: they never call Lua ---------------------------------------------------------------- */

/* Makes room for `more` bytes. Returns 0 if there is no memory, else nonzero. */
static int reserve(struct retab_buffer *buffer, size_t more)
{
    const size_t need = buffer->length + more;
    if (need <= buffer->room) {
        return 1;
    }
    const size_t larger_room = buffer->room > 0 ? buffer->room * 2 : FIRST_ROOM;
    const size_t room = need > larger_room ? need : larger_room;
    char *larger = realloc(buffer->bytes, room);
    if (larger == NULL) {
        return 0;
    }
    buffer->bytes = larger;
    buffer->room = room;
    return 1;
}

/* Refuses the response. Returns 0 bytes consumed: libcurl ends a transfer if a callback does not consume all bytes. */
static size_t refuse(struct retab_transfer *transfer, const char *reason)
{
    transfer->refused = reason;
    return 0;
}

/* Appends bytes. Returns the number of bytes consumed. */
static size_t append(struct retab_transfer *transfer, struct retab_buffer *buffer, const char *bytes, size_t length)
{
    if (length == 0) {
        return 0;
    }
    if (!reserve(buffer, length)) {
        return refuse(transfer, no_memory);
    }
    memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length += length;
    return length;
}

/* libcurl calls this for each line: a status line, header fields, an empty line. All of them come again after an
 * interim response. Fields after the body are trailers: they are dropped, and must not change what the header says. */
static size_t on_header(char *bytes, size_t size, size_t count, void *context)
{
    struct retab_transfer *transfer = context;
    struct retab_buffer *head = &transfer->head;
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
    if (!transfer->in_head || (length > 0 && bytes[length - 1] == '\n' && (*bytes == '\r' || *bytes == '\n'))) {
        transfer->in_head = 0;
        return length;
    }
    return append(transfer, head, bytes, length);
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct retab_transfer *transfer = context;
    struct retab_buffer *body = &transfer->body;
    const size_t length = size * count;
    if (length > transfer->max_body - body->length) {
        return refuse(transfer, too_large_body);
    }
    if (body->length == 0) {
        curl_off_t expected = -1;
        curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &expected);
        if (expected > 0 && (uint64_t)expected <= transfer->max_body) {
            (void)reserve(body, (size_t)expected); /* if this fails, append asks for less */
        }
    }
    return append(transfer, body, bytes, length);
}

/* ---- the request --------------------------------------------------------------------------------------------- */

/* Sets the options of a POST. Its body may be empty. */
static CURLcode set_post(CURL *easy, const struct retab_request *request)
{
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
    /* libcurl repeats a request if a reused connection breaks, but a POST must not reach a server twice */
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    return curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, request->body != NULL ? request->body : "");
}

static void set_string(CURL *easy, CURLcode *code, CURLoption option, const char *value)
{
    *code = *code == CURLE_OK ? curl_easy_setopt(easy, option, value) : *code;
}

/* Sets the options that can fail, since they copy a string. */
static CURLcode set_strings(struct retab_transfer *transfer, const struct retab_request *request)
{
    CURL *easy = transfer->easy;
    const int posts = request->body != NULL || strcmp(request->method, "POST") == 0;
    CURLcode code = posts ? set_post(easy, request) : CURLE_OK;
    if (strcmp(request->method, posts ? "POST" : "GET") != 0) {
        set_string(easy, &code, CURLOPT_CUSTOMREQUEST, request->method);
    }
    set_string(easy, &code, CURLOPT_ACCEPT_ENCODING, "");
    if (request->ca_file != NULL || request->ca_path != NULL) { /* setting one drops libcurl's default of both */
        set_string(easy, &code, CURLOPT_CAINFO, request->ca_file);
        set_string(easy, &code, CURLOPT_CAPATH, request->ca_path);
    }
    if (request->proxy != NULL) {
        set_string(easy, &code, CURLOPT_PROXY, request->proxy);
    }
    set_string(easy, &code, CURLOPT_URL, request->url);
    if (code == CURLE_BAD_FUNCTION_ARGUMENT) {
        (void)snprintf(transfer->message, sizeof transfer->message, "the URL is too long (%zu bytes)",
                       strlen(request->url));
    } else {
        retab_transfer_fail(transfer, NULL, curl_easy_strerror(code));
    }
    return code;
}

/* Gives libcurl the time for a connection, too: it divides this time among the addresses of the server. */
static void set_connect_timeout(struct retab_transfer *transfer)
{
    const int64_t limit = (int64_t)INT32_MAX;
    const int64_t milliseconds = (transfer->deadline.connect_timeout + transfer->deadline.credit) / 1000 + 1;
    curl_easy_setopt(transfer->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(milliseconds < limit ? milliseconds : limit));
}

CURLcode retab_transfer_prepare(struct retab_transfer *transfer, const struct retab_request *request)
{
    CURL *easy = transfer->easy = curl_easy_init();
    const CURLcode code = easy != NULL ? set_strings(transfer, request) : CURLE_OUT_OF_MEMORY;
    if (code != CURLE_OK) {
        return code;
    }
    transfer->deadline =
        (struct retab_deadline){request->timeout, request->connect_timeout, request->expires, RETAB_NEVER, 0};
    transfer->max_body = request->max_body;
    transfer->message[0] = '\0';
    set_connect_timeout(transfer);
#if CURL_AT_LEAST_VERSION(7, 85, 0)
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if CURL_AT_LEAST_VERSION(7, 87, 0)
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* a name server that hangs does not delay a timeout */
#endif
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, retab_process_new_socket);
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

void retab_transfer_release(struct retab_transfer *transfer)
{
    curl_easy_cleanup(transfer->easy); /* does nothing for NULL */
    curl_slist_free_all(transfer->headers);
    transfer->easy = NULL;
    transfer->headers = NULL;
}

int retab_transfer_is_connected(const struct retab_transfer *transfer)
{
    curl_off_t took = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_PRETRANSFER_TIME_T, &took);
    return took > 0;
}

void retab_transfer_credit(struct retab_transfer *transfer, int64_t interval)
{
    transfer->deadline.credit += interval;
    set_connect_timeout(transfer);
}

/* ---- the end ------------------------------------------------------------------------------------------------- */

/* Returns a message if the server refuses a client without a certificate, else NULL. TLS 1.3 has an alert for this,
 * which comes when the response is read; TLS 1.2 only has a general alert in the handshake. */
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

/* Returns nonzero if libcurl's own limit of a header line, a little over 100,000 bytes, has ended the transfer. Before
 * libcurl 8 the code for this is that of missing memory. */
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
    case CURLE_WRITE_ERROR: /* from decompression: the callbacks here set `refused` */
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
    } else if (code == CURLE_OPERATION_TIMEDOUT) { /* libcurl only limits the time to connect */
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

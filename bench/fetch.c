/* libcurl alone: fetches URLs one after the other over one connection and discards the bodies.
 *
 *     fetch FILE      -- FILE has one URL per line. For each line of standard input, all of them are fetched over a new
 *                     -- connection; their number and their bytes are printed. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t discard(char *bytes, size_t size, size_t count, void *context)
{
    (void)bytes;
    *(size_t *)context += size * count;
    return size * count;
}

static size_t fetch_all(char *const *urls, size_t count)
{
    size_t total = 0;
    CURL *easy = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Api-Key: bench");
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &total);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 131072L); /* as large as ours */
    for (size_t i = 0; i < count; i++) {
        curl_easy_setopt(easy, CURLOPT_URL, urls[i]);
        if (curl_easy_perform(easy) != CURLE_OK) {
            fprintf(stderr, "fetch: no response from %s\n", urls[i]);
            exit(1);
        }
    }
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
    return total;
}

static char *read_line(FILE *file)
{
    char line[4096];
    if (fgets(line, sizeof line, file) == NULL) {
        return NULL;
    }
    const size_t length = strcspn(line, "\n");
    char *copy = malloc(length + 1);
    if (copy != NULL) {
        memcpy(copy, line, length);
        copy[length] = '\0';
    }
    return copy;
}

int main(int argc, char **argv)
{
    FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (file == NULL) {
        fprintf(stderr, "usage: fetch FILE\n");
        return 2;
    }
    char **urls = NULL, *line;
    size_t count = 0;
    while ((line = read_line(file)) != NULL) {
        char **longer = realloc(urls, (count + 1) * sizeof *urls);
        if (longer == NULL) {
            return 1;
        }
        urls = longer;
        urls[count++] = line;
    }
    fclose(file);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    while ((line = read_line(stdin)) != NULL) {
        free(line);
        printf("%zu %zu\n", count, fetch_all(urls, count));
        fflush(stdout);
    }
    for (size_t i = 0; i < count; i++) {
        free(urls[i]);
    }
    free(urls);
    curl_global_cleanup();
    return 0;
}

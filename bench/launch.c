/* Measures how long programs take from their start to their end, in turns.
 *
 *     launch ROUNDS PROGRAM ARG... -- PROGRAM ARG...
 *
 * Prints one line per round: the seconds of each program. The standard output of the programs is discarded. */
#define _POSIX_C_SOURCE 200809L

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double run(char **command)
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status = 0;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    const double start = now();
    if (posix_spawnp(&pid, command[0], &actions, NULL, command, environ) != 0 || waitpid(pid, &status, 0) != pid ||
        status != 0) {
        fprintf(stderr, "launch: %s failed\n", command[0]);
        exit(1);
    }
    const double end = now();
    posix_spawn_file_actions_destroy(&actions);
    return end - start;
}

int main(int argc, char **argv)
{
    const long rounds = argc > 2 ? strtol(argv[1], NULL, 10) : 0;
    if (rounds < 1) {
        fprintf(stderr, "usage: launch ROUNDS PROGRAM ARG... -- PROGRAM ARG...\n");
        return 2;
    }
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0) {
            argv[i] = NULL;
        }
    }
    for (long round = 0; round < rounds; round++) {
        for (int i = 2; i < argc; i++) {
            printf("%.6f ", run(argv + i));
            while (i < argc && argv[i] != NULL) {
                i++;
            }
        }
        putchar('\n');
    }
    return 0;
}

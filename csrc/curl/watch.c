#include "watch.h"

#include <errno.h>
#include <unistd.h>

void retab_watch_close(int watch)
{
    (void)close(watch);
}

#if defined(__linux__)

#include <sys/epoll.h>

int retab_watch_open(void)
{
    return epoll_create1(EPOLL_CLOEXEC);
}

void retab_watch_disown(int watch)
{
    (void)close(watch);
}

int retab_watch_set(int watch, int socket, int readable, int writable)
{
    struct epoll_event event = {.events = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u),
                                .data = {.fd = socket}};
    if (event.events == 0) {
        (void)epoll_ctl(watch, EPOLL_CTL_DEL, socket, &event); /* fails if the socket is not watched */
        return 0;
    }
    if (epoll_ctl(watch, EPOLL_CTL_MOD, socket, &event) == 0) {
        return 0;
    }
    return errno == ENOENT ? epoll_ctl(watch, EPOLL_CTL_ADD, socket, &event) : -1;
}

int retab_watch_ready(int watch, struct retab_watch_event *events)
{
    struct epoll_event ready[RETAB_WATCH_EVENTS];
    const int count = epoll_wait(watch, ready, RETAB_WATCH_EVENTS, 0);
    for (int i = 0; i < count; i++) {
        const int failed = (ready[i].events & (EPOLLERR | EPOLLHUP)) != 0;
        events[i] = (struct retab_watch_event){ready[i].data.fd, failed || (ready[i].events & EPOLLIN) != 0,
                                               failed || (ready[i].events & EPOLLOUT) != 0};
    }
    return count > 0 ? count : 0;
}

#else

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/event.h>
#include <sys/time.h>
#include <sys/types.h>

int retab_watch_open(void)
{
    const int watch = kqueue();
    if (watch >= 0) {
        (void)fcntl(watch, F_SETFD, FD_CLOEXEC);
    }
    return watch;
}

/* A child does not inherit a kqueue: in the child, the number may belong to any other file. */
void retab_watch_disown(int watch)
{
    (void)watch;
}

/* Deleting a filter that is not there fails, which is no error here. */
static int set_filter(int watch, int socket, short filter, int wanted)
{
    struct kevent change;
    EV_SET(&change, (uintptr_t)socket, filter, wanted ? EV_ADD : EV_DELETE, 0, 0, NULL);
    return kevent(watch, &change, 1, NULL, 0, NULL) == 0 || !wanted ? 0 : -1;
}

int retab_watch_set(int watch, int socket, int readable, int writable)
{
    return set_filter(watch, socket, EVFILT_READ, readable) == 0 &&
                   set_filter(watch, socket, EVFILT_WRITE, writable) == 0
               ? 0
               : -1;
}

int retab_watch_ready(int watch, struct retab_watch_event *events)
{
    struct kevent ready[RETAB_WATCH_EVENTS];
    const struct timespec at_once = {0, 0};
    const int count = kevent(watch, NULL, 0, ready, RETAB_WATCH_EVENTS, &at_once);
    for (int i = 0; i < count; i++) {
        const int failed = (ready[i].flags & (EV_EOF | EV_ERROR)) != 0;
        events[i] = (struct retab_watch_event){(int)ready[i].ident, failed || ready[i].filter == EVFILT_READ,
                                               failed || ready[i].filter == EVFILT_WRITE};
    }
    return count > 0 ? count : 0;
}

#endif

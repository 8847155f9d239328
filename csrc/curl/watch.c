#include "watch.h"

#include <errno.h>

#if defined(__linux__)

#include <sys/epoll.h>

int retab_watch_open(void)
{
    return epoll_create1(EPOLL_CLOEXEC);
}

int retab_watch_set(int watch, int socket, int readable, int writable)
{
    struct epoll_event event = {.events = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u),
                                .data = {.fd = socket}};
    if (event.events == 0) {
        (void)epoll_ctl(watch, EPOLL_CTL_DEL, socket, &event); /* fails if the socket is not watched */
        return 0;
    }
    if (epoll_ctl(watch, EPOLL_CTL_ADD, socket, &event) == 0) {
        return 0;
    }
    return errno == EEXIST ? epoll_ctl(watch, EPOLL_CTL_MOD, socket, &event) : -1;
}

int retab_watch_wait(int watch, struct retab_watch_event *events, int milliseconds)
{
    struct epoll_event ready[RETAB_WATCH_EVENTS];
    const int count = epoll_wait(watch, ready, RETAB_WATCH_EVENTS, milliseconds);
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

/* Deleting a filter that is not there fails, which is no error here. */
static int set_filter(int watch, int socket, short filter, int wanted)
{
    struct kevent change;
    EV_SET(&change, (uintptr_t)socket, filter, wanted ? EV_ADD : EV_DELETE, 0, 0, NULL);
    return kevent(watch, &change, 1, NULL, 0, NULL) == 0 || !wanted ? 0 : -1;
}

int retab_watch_set(int watch, int socket, int readable, int writable)
{
    const int result = set_filter(watch, socket, EVFILT_READ, readable);
    return result == 0 ? set_filter(watch, socket, EVFILT_WRITE, writable) : result;
}

int retab_watch_wait(int watch, struct retab_watch_event *events, int milliseconds)
{
    struct kevent ready[RETAB_WATCH_EVENTS];
    const struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    const int count = kevent(watch, NULL, 0, ready, RETAB_WATCH_EVENTS, &time);
    for (int i = 0; i < count; i++) {
        const int failed = (ready[i].flags & (EV_EOF | EV_ERROR)) != 0;
        events[i] = (struct retab_watch_event){(int)ready[i].ident, failed || ready[i].filter == EVFILT_READ,
                                               failed || ready[i].filter == EVFILT_WRITE};
    }
    return count > 0 ? count : 0;
}

#endif

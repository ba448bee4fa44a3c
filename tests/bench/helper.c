/* The child that the benchmarks supervise: it says when things happen to it, on the clock the observer reads.
 *
 * Every word goes to the FIFO named in BENCH_FIFO, as one line: WORD NANOSECONDS, of CLOCK_MONOTONIC.
 *
 *   helper exec CMD...   says "exec" and becomes CMD
 *   helper [child]       says "start"; at TERM says "term" and ends with status 0
 *   helper storm N       a child that at USR1 makes N orphans, one after the other, which end at once; then "done"
 *   helper burst N       a child that has made N orphans before it says "start"; at USR1 it says "done" and they end
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what)
{
    perror(what);
    _exit(1);
}

static void say(const char *word)
{
    struct timespec now;
    char line[64];
    clock_gettime(CLOCK_MONOTONIC, &now);
    int length = snprintf(line, sizeof line, "%s %lld\n", word, now.tv_sec * 1000000000LL + now.tv_nsec);
    const char *path = getenv("BENCH_FIFO");
    int fifo = path ? open(path, O_WRONLY | O_CLOEXEC) : -1;
    if (fifo < 0 || write(fifo, line, length) != length)
        fail("BENCH_FIFO");
    close(fifo);
}

static void at_term(int number)
{
    (void)number;
    say("term");
    _exit(0);
}

static volatile sig_atomic_t told;

static void at_usr1(int number)
{
    (void)number;
    told = 1;
}

/* An orphan waits for the end of the gate, if there is one, and ends; its parent has ended before that. */
static void make_orphan(const int gate[2])
{
    pid_t middle = fork();
    if (middle < 0)
        fail("fork");
    if (middle == 0) {
        pid_t orphan = fork();
        if (orphan == 0 && gate) {
            char byte;
            close(gate[1]);
            setsid();
            if (read(gate[0], &byte, 1) != 0)
                _exit(1);
        }
        _exit(orphan < 0);
    }
    int status;
    waitpid(middle, &status, 0);
    if (status)
        fail("orphan");
}

static void make_orphans(long count, const int gate[2])
{
    for (long made = 0; made < count; made++)
        make_orphan(gate);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "child";
    long count = argc > 2 ? atol(argv[2]) : 0;
    if (strcmp(mode, "exec") == 0) {
        say("exec");
        execvp(argv[2], argv + 2);
        fail(argv[2]);
    }

    sigset_t usr1, before;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    sigprocmask(SIG_BLOCK, &usr1, &before);
    sigdelset(&before, SIGUSR1);
    sigdelset(&before, SIGTERM);
    signal(SIGTERM, at_term);
    signal(SIGUSR1, at_usr1);

    int gate[2] = {-1, -1};
    int burst = strcmp(mode, "burst") == 0;
    if (burst) {
        if (pipe2(gate, O_CLOEXEC) < 0)
            fail("pipe2");
        make_orphans(count, gate);
    }
    say("start");
    while (!told)
        sigsuspend(&before);
    if (burst)
        close(gate[1]);
    else
        make_orphans(count, NULL);
    say("done");
    for (;;)
        sigsuspend(&before);
}

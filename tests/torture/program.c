/*
 * Makes trees of processes as badly as real software does, for the tests in this directory.
 *
 *   program tree SEED        a random mix of the kinds below, another one for each run
 *   program KIND             one kind alone
 *   program work DIR         a service that writes numbered lines, keeps account of itself in DIR, and ends in its own way
 *   program take PID FILE    become a stranger with this pid, write FILE when it lives
 *
 * Whatever a process here does to itself, one of four marks stays on it for the tests' own search: the directory it works
 * in, the file it executes, a word of its command line, or TORTURE_TAG in its environment.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Processes of one tree, all that ever were: no mistake here may take the machine down. */
enum { MOST = 400, BUSH = 40, STEPS = 120 };

extern char **environ;
static char **words;         /* argv, to be overwritten */
static int *made;            /* shared by the tree: processes made so far */
static const char *tag = ""; /* a copy: the environment may be wiped */

static uint64_t dice;

static unsigned roll(unsigned sides)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (unsigned)(dice >> 11) % sides;
}

static void nap(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static void live(void)
{
    for (;;)
        pause();
}

/* 0 in the child; below 0 when the tree is large enough or the kernel has no more. */
static pid_t branch(void)
{
    if (__sync_add_and_fetch(made, 1) > MOST)
        return -1;
    pid_t pid = fork();
    if (pid == 0)
        dice += (uint64_t)getpid() * 2654435761u;
    return pid;
}

/* ---- what a process does to itself ---- */

static void turn_deaf(void)
{
    for (int number = 1; number < 32; number++)
        signal(number, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
}

static void close_all(void)
{
    for (int fd = 0; fd < 256; fd++)
        close(fd);
}

static void wipe_environment(void)
{
    for (char **variable = environ; *variable; variable++)
        memset(*variable, 0, strlen(*variable));
    clearenv();
}

static void take_another_name(void)
{
    prctl(PR_SET_NAME, "kworker/0:1");
    for (char **word = words; *word; word++)
        memset(*word, '-', strlen(*word));
}

static void become_another_program(void)
{
    char *other[] = {(char *)tag, "100000", NULL};
    char *nothing[] = {NULL};
    execve("/bin/sleep", other, nothing);
    _exit(126);
}

/* ---- kinds of trees; each returns in the process that asked, and never in the ones it makes ---- */

static void session(void)
{
    if (branch() == 0) {
        setsid();
        live();
    }
}

static void group(void)
{
    if (branch() == 0) {
        setpgid(0, 0);
        live();
    }
}

static void deaf(void)
{
    if (branch() == 0) {
        turn_deaf();
        live();
    }
}

/* Its parent is gone when it begins to live. */
static void orphan(void)
{
    if (branch() == 0) {
        if (branch() == 0)
            live();
        _exit(0);
    }
}

/* The book's double fork, and everything thrown away that could tell where it comes from, but for its file. */
static void daemonise(void)
{
    pid_t middle = branch();
    if (middle == 0) {
        setsid();
        if (branch() == 0) {
            close_all();
            wipe_environment();
            take_another_name();
            turn_deaf();
            if (chdir("/") != 0)
                _exit(1);
            live();
        }
        _exit(0);
    }
    if (middle > 0)
        waitpid(middle, NULL, 0);
}

static void replaced(void)
{
    if (branch() == 0) {
        setsid();
        if (branch() == 0)
            become_another_program();
        _exit(0);
    }
}

static void halted(void)
{
    if (branch() == 0) {
        turn_deaf();
        raise(SIGSTOP);
        live();
    }
}

/* Never where it was a moment ago: each lives for two milliseconds, in a session of its own, and leaves one child. */
static void runner(void)
{
    if (branch() != 0)
        return;
    turn_deaf();
    signal(SIGCHLD, SIG_IGN);
    for (int step = 0; step < STEPS * 10; step++) {
        nap(2);
        pid_t next = fork();
        if (next > 0)
            _exit(0);
        if (next == 0 && step % 2)
            setsid();
    }
    live();
}

/* Answers a request to end by making more. */
static void breed(int number)
{
    (void)number;
    for (int i = 0; i < 4; i++)
        if (branch() == 0) {
            turn_deaf();
            setsid();
            live();
        }
    _exit(0);
}

static void breeder(void)
{
    if (branch() == 0) {
        signal(SIGTERM, breed);
        signal(SIGHUP, breed);
        live();
    }
}

/* Makes and ends children without a pause while it is being killed. */
static void storm(void)
{
    for (int i = 0; i < 3; i++)
        if (branch() == 0) {
            turn_deaf();
            setsid();
            signal(SIGCHLD, SIG_IGN);
            for (int step = 0; step < STEPS; step++) {
                if (branch() == 0) {
                    nap(roll(20));
                    _exit(0);
                }
                nap(roll(4));
            }
            live();
        }
}

/* As a login does it: another session, another environment, limits of its own, a parent that does not stay. */
static void login(void)
{
    pid_t middle = branch();
    if (middle == 0) {
        setsid();
        if (branch() == 0) {
            for (int limit = 0; limit < RLIMIT_NLIMITS; limit++) {
                struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
                if (limit != RLIMIT_CORE && limit != RLIMIT_NOFILE)
                    setrlimit(limit, &none);
            }
            wipe_environment();
            become_another_program();
        }
        _exit(0);
    }
    if (middle > 0)
        waitpid(middle, NULL, 0);
}

/* As many as it may, each of them making more. */
static void bomb(void)
{
    if (branch() != 0)
        return;
    int *left = mmap(NULL, sizeof *left, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    *left = BUSH;
    while (__sync_sub_and_fetch(left, 1) > 0)
        if (branch() < 0)
            break;
    live();
}

/* Keeps its orphans to itself, and leaves them when it is asked to end. */
static void guardian(void)
{
    if (branch() == 0) {
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        orphan();
        deaf();
        daemonise();
        live();
    }
}

static void *fork_aside(void *unused)
{
    if (branch() == 0) {
        turn_deaf();
        live();
    }
    return unused;
}

/* The kernel lists a child under the thread that made it. */
static void threads(void)
{
    if (branch() == 0) {
        pthread_t one, two;
        pthread_create(&one, NULL, fork_aside, NULL);
        pthread_create(&two, NULL, fork_aside, NULL);
        pthread_join(one, NULL);
        live();
    }
}

static const struct {
    const char *name;
    void (*make)(void);
} kinds[] = {
    {"session", session}, {"group", group},   {"deaf", deaf},       {"orphan", orphan},     {"daemonise", daemonise},
    {"replaced", replaced}, {"halted", halted}, {"runner", runner},   {"breeder", breeder},   {"storm", storm},
    {"login", login},     {"bomb", bomb},       {"threads", threads}, {"guardian", guardian},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* A few kinds, and below some of them a few more. */
static void grow(int depth)
{
    for (unsigned count = 1 + roll(4); count > 0; count--) {
        unsigned kind = roll(KINDS);
        if (depth < 2 && roll(3) == 0) {
            pid_t pid = branch();
            if (pid == 0) {
                if (roll(2))
                    setsid();
                if (roll(3) == 0)
                    turn_deaf();
                grow(depth + 1);
                if (roll(3) == 0)
                    _exit(0);
                live();
            }
        }
        kinds[kind].make();
    }
}

/* Tells the test that the tree stands. */
static void tell_ready(void)
{
    char name[128];
    const char *own = getenv("WASMVISOR_NAME");
    snprintf(name, sizeof name, "ready.%s", own ? own : "alone");
    int fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
}

/* ---- a service with an account of itself ---- */

static volatile sig_atomic_t asked;

static void note_request(int number)
{
    asked = number;
}

/* One line of fixed length, written over and over: what counts is true at every moment, whoever kills us. */
static void account(int book, unsigned lines, const char *end)
{
    char line[64];
    int length = snprintf(line, sizeof line, "lines=%08u end=%-12s\n", lines, end);
    if (pwrite(book, line, (size_t)length, 0) != length)
        _exit(125);
}

static int open_book(const char *directory, const char *own, const char *run)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s.lock", directory, own);
    int lock = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    /* Held by the kernel for as long as this process lives and no moment longer. */
    if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) != 0) {
        snprintf(path, sizeof path, "%s/%s.%s.%d.doubled", directory, own, run, getpid());
        close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    }
    snprintf(path, sizeof path, "%s/%s.%s.%d.book", directory, own, run, getpid());
    return open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
}

static int work(const char *directory)
{
    const char *own = getenv("WASMVISOR_NAME"), *run = getenv("WASMVISOR_RUN");
    if (!own || !run)
        return 124;
    int book = open_book(directory, own, run);
    dice = (uint64_t)atoi(run) * 7919 + (uint64_t)(own[strlen(own) - 1] + own[strlen(own) - 2] * 10) * 104729 + 1;
    roll(2);
    unsigned lines = 0, last = 20 + roll(400), way = roll(10), code = 1 + roll(90);
    signal(SIGTERM, note_request);
    account(book, lines, "none");
    for (; lines < last && !asked; nap(10 + (long)roll(20))) {
        char line[96];
        int length = snprintf(line, sizeof line, "%s %s %u\n", own, run, lines + 1);
        if (write(1, line, (size_t)length) != length) {
            account(book, lines, "no-output");
            return 123;
        }
        account(book, ++lines, "none");
    }
    if (asked)
        code = 0;
    if (way < 2 && !asked) {
        account(book, lines, way ? "signal:9" : "signal:11");
        signal(SIGSEGV, SIG_DFL);
        kill(getpid(), way ? SIGKILL : SIGSEGV);
        live();
    }
    char end[16];
    snprintf(end, sizeof end, "code:%u", code);
    account(book, lines, end);
    return (int)code;
}

/* ---- a stranger with somebody's pid ---- */

static int take(pid_t wanted, const char *file)
{
    struct clone_args arguments = {.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&wanted, .set_tid_size = 1};
    long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
    if (pid < 0) {
        fprintf(stderr, "cannot have pid %d: %s\n", wanted, strerror(errno));
        return errno == EPERM ? 77 : 1;
    }
    if (pid > 0) {
        int status = 0;
        waitpid((pid_t)pid, &status, 0);
        return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
    /* As like the old owner as can be: leader of a session of that number, with a child in it. */
    setsid();
    if (fork() == 0)
        live();
    close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    live();
    return 0;
}

int main(int argc, char **argv)
{
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    words = argv;
    if (argc == 3 && strcmp(argv[1], "work") == 0)
        return work(argv[2]);
    if (argc == 4 && strcmp(argv[1], "take") == 0)
        return take(atoi(argv[2]), argv[3]);
    made = mmap(NULL, sizeof *made, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    const char *run = getenv("WASMVISOR_RUN"), *told = getenv("TORTURE_TAG");
    tag = strdup(told ? told : "torture");
    dice = (argc > 2 ? strtoull(argv[2], NULL, 10) : 1) * 2654435761u + (run ? strtoull(run, NULL, 10) : 0) * 40503u + 1;
    roll(2);
    if (argc > 1 && strcmp(argv[1], "tree") == 0) {
        grow(0);
        tell_ready();
        live();
    }
    for (int kind = 0; argc > 1 && kind < KINDS; kind++)
        if (strcmp(argv[1], kinds[kind].name) == 0) {
            kinds[kind].make();
            tell_ready();
            live();
        }
    fprintf(stderr, "usage: %s tree SEED | KIND | work DIR | take PID FILE\n", argv[0]);
    return 2;
}

/* For tests: loaded into a program (LD_PRELOAD), the first look at the monotonic clock fails. Rust's standard library panics
 * at that, quoting the system's words for the fault, for which FAULT_WORDS are given. What the process allows at that moment
 * is written to the file that FAULT_NOTES names. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void take_notes(void) {
    struct rlimit core;
    FILE *notes = fopen(getenv("FAULT_NOTES"), "a");
    getrlimit(RLIMIT_CORE, &core);
    fprintf(notes, "core %llu %llu dumpable %d\n", (unsigned long long)core.rlim_cur, (unsigned long long)core.rlim_max,
            prctl(PR_GET_DUMPABLE));
    fclose(notes);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    static int failed;
    if (clock == CLOCK_MONOTONIC && !__atomic_exchange_n(&failed, 1, __ATOMIC_SEQ_CST)) {
        take_notes();
        errno = EINVAL;
        return -1;
    }
    return (int)syscall(SYS_clock_gettime, clock, time);
}

/* What the standard library asks for an error's words. */
int __xpg_strerror_r(int error, char *words, size_t room) {
    (void)error;
    snprintf(words, room, "%s", getenv("FAULT_WORDS"));
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the test build (-DSEMUNDO_TEST=1) can switch and interrupt. The shipped
 * library has none of it: there the macros are constants and nothing.
 */
#ifndef SEMUNDO_TEST_HOOKS_H
#define SEMUNDO_TEST_HOOKS_H

#if defined(SEMUNDO_TEST) && SEMUNDO_TEST

#include <stdint.h>

struct semundo__test {
	int no_timed_wait;    /* sleep without limit: a lost wake-up hangs */
	int no_futex_waitv;   /* as on a kernel before 5.16 */
	int no_alarm;         /* never arm the alarm mutex: polling only */
	int no_spin;          /* sleep at once */
	int no_semtimedop;    /* System V waits as where there is no semtimedop(2) */
	int no_clockwait;     /* POSIX waits as where there is no sem_clockwait(3) */
	int no_file_locks;    /* as on a kernel without F_OFD_SETLK: no native engine */
	int no_sysv;          /* as on a kernel without System V semaphores */
	int refuse_filesystem;/* as if the directory were on a network filesystem */
	uint32_t max_slots;   /* 0, or a smaller limit of attached processes */
	uint64_t resize_patience; /* 0, or ns to wait for a resize of another process */
	uint32_t max_records; /* 0, or a smaller limit of processes a directory */
};
extern struct semundo__test semundo__test;

/*
 * Called at crash points, when set. The names, in the order of an operation:
 *   join:locked join:claimed join:armed           a process joins a directory
 *   attach:claimed attach:done                    it takes a slot
 *   lane:pending state:changed lane:idle          a PERMITS operation
 *   lock:changed signal:changed                   a LOCK or SIGNAL operation
 *   release:before-wake release:woke release:flag-cleared
 *   wait:announced wait:flagged wait:before-sleep wait:woken wait:leave
 *   recover:dead recover:claimed recover:settled recover:mourned recover:pending
 *   recover:given-back recover:woken recover:freed
 *   section:favoured section:drain                the private lock; what was deferred
 *   resize:claimed detach:empty create:written create:temporary
 *   create:linked grow:allocated
 *   sysv:file sysv:drafted sysv:made sysv:filled sysv:attached sysv:written
 *   sysv:linked sysv:replaced                     a System V semaphore is created
 *   sysv:retired sysv:unlinked sysv:last          its name goes, it goes
 *   sysv:acquired sysv:released                   between the call and our own count
 *   together:taken together:back                  several are acquired at once
 *   posix:create
 * It may be called in any thread; it may kill or stop the process.
 */
extern void (*semundo__test_point)(const char *where);

#define TEST_SWITCH(name) (semundo__test.name)
#define TEST_LIMIT(name, limit) (semundo__test.name ? semundo__test.name : (limit))
#define POINT(where) \
	do { \
		if (semundo__test_point) \
			semundo__test_point(where); \
	} while (0)

/* Faults that proofs seed to see that they are found; 0 = none. */
#ifndef SEMUNDO_FAULT
#define SEMUNDO_FAULT 0
#endif

#else

#define TEST_SWITCH(name) 0
#define TEST_LIMIT(name, limit) (limit)
#define POINT(where) ((void)0)
#define SEMUNDO_FAULT 0

#endif

/* FAULT(n) is true only in a test build made with -DSEMUNDO_FAULT=n. */
#define FAULT_NO_HELP 1
#define FAULT_LATE_LANE 2
#define FAULT_RECOVERY_NOT_IDEMPOTENT 3
#define FAULT_NO_SECOND_WAKE 4
#define FAULT_EARLY_FREE 5
#define FAULT(n) (SEMUNDO_FAULT == (n))

#endif

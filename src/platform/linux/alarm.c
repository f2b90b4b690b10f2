/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The alarm on Linux: a robust process-shared mutex that its process holds.
 * When the thread that holds it dies the kernel sets FUTEX_OWNER_DIED in its
 * word and, because FUTEX_WAITERS is set there, wakes one sleeper (robust
 * futexes: Documentation/locking/robust-futexes.rst). The robust list belongs
 * to the C library, hence a mutex of the C library, used by its owner only.
 */
#include "platform/liveness.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "atomics.h"
#include "layout.h"
#include "platform/process.h"
#include "platform/wait.h"

_Static_assert(sizeof(pthread_mutex_t) <= ALARM_SPACE, "a mutex fits");

static bool has_word(const uint32_t *words, size_t count, uint32_t thread)
{
	for (size_t i = 0; i < count; i++)
		if ((words[i] & FUTEX_TID_MASK) == thread)
			return true;
	return false;
}

/*
 * After a raw clone(2) the C library goes on with the parent's thread number
 * and with its robust list, which leads into the parent's alarm: locking a
 * robust mutex would write there, and the kernel would not ring. A mutex that
 * is not robust shows the number without touching the list.
 */
static bool is_known_thread(void)
{
	pthread_mutex_t mutex;
	pthread_mutexattr_t attr;
	uint32_t words[sizeof(mutex) / 4] = { 0 };
	if (pthread_mutexattr_init(&attr))
		return false;
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
	memset(&mutex, 0, sizeof(mutex));
	int r = pthread_mutex_init(&mutex, &attr);
	pthread_mutexattr_destroy(&attr);
	if (r || pthread_mutex_lock(&mutex))
		return false;
	memcpy(words, &mutex, sizeof(words));
	pthread_mutex_unlock(&mutex);
	pthread_mutex_destroy(&mutex);
	return has_word(words, sizeof(words) / sizeof(words[0]), semundo__thread_id());
}

static int mutex_make(pthread_mutex_t *mutex)
{
	pthread_mutexattr_t attr;
	int r = pthread_mutexattr_init(&attr);
	if (r)
		return -r;
	r = pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	if (!r)
		r = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	memset(mutex, 0, sizeof(*mutex));
	if (!r)
		r = pthread_mutex_init(mutex, &attr);
	pthread_mutexattr_destroy(&attr);
	return -r;
}

static int find_word(void)
{
	pthread_mutex_t mutex;
	if (mutex_make(&mutex) || pthread_mutex_lock(&mutex))
		return -ENOTSUP;
	uint32_t words[sizeof(mutex) / 4];
	memcpy(words, &mutex, sizeof(words));
	pthread_mutex_unlock(&mutex);
	uint32_t unlocked[sizeof(mutex) / 4];
	memcpy(unlocked, &mutex, sizeof(unlocked));
	pthread_mutex_destroy(&mutex);
	/* The lock word holds the thread's number while locked and 0 after;
	 * glibc's mutex has the number in an owner field as well, later. */
	for (unsigned i = 0; i < sizeof(words) / 4; i++)
		if ((words[i] & FUTEX_TID_MASK) == semundo__thread_id() && (unlocked[i] & FUTEX_TID_MASK) == 0)
			return (int)(i * 4);
	return -ENOTSUP;
}

int semundo__alarm_word_offset(void)
{
	static int known; /* 0: not tried, else offset + 1, or negative */
	if (load_relaxed(&known) == 0) {
		if (!is_known_thread())
			return -ENOTSUP;
		int r = find_word();
		store_relaxed(&known, r < 0 ? r : r + 1);
	}
	int k = load_relaxed(&known);
	return k < 0 ? k : k - 1;
}

/*
 * musl leaves a forked child its parent's robust list, which leads to the alarm,
 * memory that the child does not have: the child's next robust mutex would be
 * linked to it. The kernel has dropped the child's list, and the C library has
 * not yet told it a new one: so it is known, and the list is emptied. (glibc
 * does all that itself.)
 */
static struct robust_list_head *list_of_armed; /* the list that has the alarm */
static pthread_t armed_thread;

static struct robust_list_head *registered_list(void)
{
	struct robust_list_head *head = NULL;
	size_t length;
	return syscall(SYS_get_robust_list, 0, &head, &length) < 0 ? NULL : head;
}

static void drop_inherited_list(void)
{
	if (list_of_armed && pthread_equal(armed_thread, pthread_self()) && !registered_list())
		list_of_armed->list.next = &list_of_armed->list;
}

/* Children made by a raw clone(2) run no handlers: once more before arming. */
static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, drop_inherited_list);
}

int semundo__alarm_arm(void *alarm)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, watch_forks);
	drop_inherited_list();
	int offset = semundo__alarm_word_offset();
	if (offset < 0)
		return offset;
	if (!is_known_thread())
		return -ENOTSUP;
	uint32_t *word = (uint32_t *)((char *)alarm + offset);
	semundo__wake(word, INT_MAX); /* who slept on the record's last owner */
	int r = mutex_make(alarm);
	if (!r) /* it is free; but a scribbler must not make us wait */
		r = -pthread_mutex_trylock(alarm);
	if (r)
		return r;
	/* Emulators of user space (qemu-user) have no robust lists. Some C
	 * libraries tell the kernel about one at the first robust mutex only. */
	struct robust_list_head *list = registered_list();
	if (!list) {
		pthread_mutex_unlock(alarm);
		return -ENOTSUP;
	}
	or_acq_rel(word, FUTEX_WAITERS); /* pairs with the kernel's test at death */
	list_of_armed = list;
	armed_thread = pthread_self();
	return 0;
}

void semundo__alarm_disarm(void *alarm)
{
	pthread_mutex_unlock(alarm);
}

bool semundo__alarm_rang(uint32_t word)
{
	return word & FUTEX_OWNER_DIED;
}

bool semundo__alarm_is_armed(uint32_t word)
{
	return (word & FUTEX_TID_MASK) && (word & FUTEX_WAITERS) && !(word & FUTEX_OWNER_DIED);
}

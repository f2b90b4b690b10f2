/* SPDX-License-Identifier: Apache-2.0 */
/* usage: engines ENGINE */
#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

#include "engine.h"
#include "engines.h"
#include "test_hooks.h"

/* What there is. A new engine is a line here and a test in meson.build. */
#define SYSV_CAPS \
	(SEMUNDO_CAP_LOCK | SEMUNDO_CAP_PERMITS | SEMUNDO_CAP_SIGNAL | SEMUNDO_CAP_MAXIMUM | \
	 SEMUNDO_CAP_MANY | SEMUNDO_CAP_WAITERS)

static const struct engine_facts engines[] = {
	{ "native", "native",
	  SYSV_CAPS | SEMUNDO_CAP_RESIZE | SEMUNDO_CAP_PEERS | SEMUNDO_CAP_ANONYMOUS |
	          SEMUNDO_CAP_HOLD | SEMUNDO_CAP_LOCK_BY_ANY,
	  &semundo__native, NULL },
	{ "sysv", "sysv", SYSV_CAPS, &semundo__sysv, NULL },
	{ "sysv-without-semtimedop", "sysv", SYSV_CAPS, &semundo__sysv,
	  &semundo__test.no_semtimedop },
	{ "posix", "posix", SEMUNDO_CAP_SIGNAL, &semundo__posix, NULL },
	{ "posix-without-clockwait", "posix", SEMUNDO_CAP_SIGNAL, &semundo__posix,
	  &semundo__test.no_clockwait },
};

const struct engine_facts *the;

bool can(unsigned caps)
{
	return (the->caps & caps) == caps;
}

unsigned cap_of(int kind)
{
	return kind == SEMUNDO_LOCK ? SEMUNDO_CAP_LOCK :
	       kind == SEMUNDO_PERMITS ? SEMUNDO_CAP_PERMITS : SEMUNDO_CAP_SIGNAL;
}

unsigned most_of(int kind)
{
	return kind == SEMUNDO_LOCK ? 1 :
	       kind == SEMUNDO_PERMITS ? the->engine->permits_max : the->engine->signal_max;
}

const char *named(const char *name)
{
	static char names[4][SEMUNDO_NAME_MAX + 32];
	static unsigned next;
	char *to = names[next++ % 4];
	snprintf(to, sizeof(names[0]), "%s:%s", the->prefix, name);
	return to;
}

struct semundo_options with_units(int kind, unsigned units)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	options.kind = (uint32_t)kind;
	if (kind == SEMUNDO_PERMITS)
		options.capacity = units;
	if (kind == SEMUNDO_SIGNAL)
		options.value = units;
	return options;
}

semundo_t *make(const char *name, int kind, unsigned units)
{
	const struct semundo_options options = with_units(kind, units);
	semundo_t *sem = NULL;
	const unsigned flags = SEMUNDO_CREATE | SEMUNDO_EXCL;
	if (can(cap_of(kind))) {
		must(semundo_open(&sem, named(name), flags, &options));
	} else {
		must_fail(semundo_open(&sem, named(name), flags, &options), ENOTSUP, name);
		ck_assert_ptr_null(sem);
	}
	return sem;
}

int64_t value_of(semundo_t *sem)
{
	int64_t value = INT64_MIN;
	must(semundo_value(sem, &value));
	return value;
}

struct semundo_info info_of(semundo_t *sem)
{
	struct semundo_info info = { .size = sizeof(info) };
	must(semundo_info(sem, &info));
	return info;
}

int held(semundo_t *sem, unsigned n)
{
	unsigned units = 0;
	int r = semundo_held(sem, &units);
	(void)n;
	return r ? r : (int)units;
}

int close_it(semundo_t *sem, unsigned n)
{
	(void)n;
	return semundo_close(sem);
}

int wait_idle(semundo_t *sem, unsigned n)
{
	(void)n;
	return semundo_wait_idle(sem, NULL);
}

START_TEST(it_can_what_it_says)
{
	unsigned caps = 0;
	ck_assert_str_eq(the->engine->name, the->prefix);
	must(semundo_engine_caps(the->prefix, &caps));
	ck_assert_uint_eq(caps, the->caps);
	must_fail(semundo_engine_caps("bogus", &caps), EINVAL, "'bogus'");
	must_fail(semundo_engine_caps("auto", &caps), EINVAL, "'auto'");
	must_fail(semundo_engine_caps(NULL, &caps), EINVAL, "engine");
}
END_TEST

static const struct engine_facts *find(const char *name)
{
	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++)
		if (strcmp(engines[i].name, name) == 0)
			return &engines[i];
	return NULL;
}

static void write_file(const char *path, const char *format, unsigned number)
{
	FILE *to = fopen(path, "w");
	if (to) {
		fprintf(to, format, number);
		fclose(to);
	}
}

/* The names of sem_open(3) are those of the whole machine: here in a /dev/shm of
 * this program's own. */
static void isolate(void)
{
	unsigned uid = geteuid(), gid = getegid();
	if (unshare(CLONE_NEWNS | (uid ? CLONE_NEWUSER : 0)) < 0)
		die("no /dev/shm of its own for this test: unshare: %s", strerror(errno));
	if (uid) {
		write_file("/proc/self/setgroups", "deny", 0);
		write_file("/proc/self/uid_map", "%u 0 1", uid);
		write_file("/proc/self/gid_map", "%u 0 1", gid);
	}
	/* In a chroot "/" may be no mount of its own. */
	if ((mount(NULL, "/dev/shm", NULL, MS_REC | MS_PRIVATE, NULL) < 0 &&
	     mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) ||
	    mount("semundo-test", "/dev/shm", "tmpfs", 0, "mode=1777") < 0)
		die("no /dev/shm of its own for this test: mount: %s", strerror(errno));
}

/* What the test before left, which may have failed. */
static void remove_names(void)
{
	DIR *d = the->engine == &semundo__posix ? opendir("/dev/shm") : NULL;
	for (const struct dirent *e; d && (e = readdir(d));)
		if (strncmp(e->d_name, "sem.", 4) == 0)
			unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
}

int main(int argc, char **argv)
{
	the = argc == 2 ? find(argv[1]) : NULL;
	if (!the)
		die("usage: engines ENGINE");
	if (the->engine == &semundo__posix)
		isolate();
	if (the->switched)
		*the->switched = 1;
	suite_before_each = remove_names;
	Suite *suite = suite_create(the->name);
	tcase_add_test(suite_case(suite, "capabilities"), it_can_what_it_says);
	add_life(suite);
	add_sharing(suite);
	add_counting(suite);
	add_resize(suite);
	add_looking(suite);
	add_deaths(suite);
	add_waits(suite);
	add_cancel(suite);
	add_signals(suite);
	add_crowds(suite);
	return suite_run(suite);
}

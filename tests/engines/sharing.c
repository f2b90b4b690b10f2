/* SPDX-License-Identifier: Apache-2.0 */
/* Options of creation; anonymous semaphores, over fork and by descriptor. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine.h"
#include "engines.h"

#define CREATE SEMUNDO_CREATE

/* ---- options ---- */

static void refuse(const struct semundo_options *options, unsigned flags, const char *word)
{
	semundo_t *sem = NULL;
	must_fail_unchanged(semundo_open(&sem, named("s"), flags, options), EINVAL, word);
	if (flags == CREATE)
		must_fail_unchanged(semundo_anonymous(&sem, options), EINVAL, word);
	ck_assert_ptr_null(sem);
}

START_TEST(bad_options_are_refused)
{
	struct semundo_options o = with_units(4, 1);
	refuse(&o, CREATE, "4 is not a kind");
	o = with_units(SEMUNDO_LOCK, 1);
	o.capacity = 2;
	refuse(&o, CREATE, "capacity of 2");
	o = with_units(SEMUNDO_PERMITS, SEMUNDO_PERMITS_MAX + 1);
	refuse(&o, CREATE, "capacity of 65536");
	o = with_units(SEMUNDO_SIGNAL, 0);
	o.capacity = SEMUNDO_SIGNAL_MAX + 1u;
	refuse(&o, CREATE, "capacity of 2147483648");
	o = with_units(SEMUNDO_SIGNAL, 6);
	o.capacity = 5;
	refuse(&o, CREATE, "first value of 6");
	o = with_units(SEMUNDO_LOCK, 1);
	o.value = 1;
	refuse(&o, CREATE, "first value");
	o = with_units(SEMUNDO_PERMITS, 1);
	o.value = 1;
	refuse(&o, CREATE, "first value");
	o.value = 0;
	o.mode = 01600;
	refuse(&o, CREATE, "mode 01600");
	o.mode = 0;
	o.flags = 2;
	refuse(&o, CREATE, "flags 0x2 of the options");
	o.flags = 0;
	o.size = 0;
	refuse(&o, CREATE, "size");
	o.size = sizeof(o);
	refuse(&o, SEMUNDO_EXCL, "CREATE");
	refuse(&o, SEMUNDO_REPLACE, "CREATE");
	refuse(&o, CREATE | SEMUNDO_EXCL | SEMUNDO_REPLACE, "exclude");
	refuse(&o, CREATE | SEMUNDO_OBSERVE, "exclude");
	refuse(&o, 1u << 4, "0x10");
}
END_TEST

START_TEST(the_default_is_one_permit_for_its_maker)
{
	semundo_t *sem;
	if (!can(SEMUNDO_CAP_PERMITS))
		return;
	must(semundo_open(&sem, named("s"), CREATE, NULL));
	struct semundo_info info = info_of(sem);
	ck_assert_uint_eq(info.kind, SEMUNDO_PERMITS);
	ck_assert_uint_eq(info.capacity, 1);
	ck_assert_uint_eq(info.mode, 0600);
	ck_assert_uint_eq(info.uid, geteuid());
	must(semundo_close(sem));
}
END_TEST

/* Of an older caller: shorter options count as if the rest were zero. */
START_TEST(shorter_options_are_understood)
{
	struct semundo_options o = with_units(SEMUNDO_PERMITS, 3);
	semundo_t *sem;
	if (!can(SEMUNDO_CAP_PERMITS))
		return;
	o.size = offsetof(struct semundo_options, value);
	o.value = 77;
	o.mode = 077777;
	o.dir = "/nowhere";
	must(semundo_open(&sem, named("s"), CREATE, &o));
	ck_assert_int_eq((int)value_of(sem), 3);
	must(semundo_close(sem));
}
END_TEST

START_TEST(the_mode_is_exact)
{
	static const unsigned modes[] = { 0600, 0640, 0666, 0622, 0777 };
	for (unsigned i = 0; can(cap_of(_i)) && i < 5; i++) {
		struct semundo_options o = with_units(_i, 1);
		semundo_t *sem;
		o.mode = modes[i];
		mode_t before = umask(077);
		must(semundo_open(&sem, named("s"), CREATE | SEMUNDO_EXCL, &o));
		umask(before);
		ck_assert_uint_eq(info_of(sem).mode, modes[i]);
		must(semundo_close(sem));
		must(semundo_unlink(named("s"), NULL));
	}
}
END_TEST

START_TEST(first_values_are_as_asked)
{
	struct semundo_options o = with_units(SEMUNDO_SIGNAL, 7);
	semundo_t *sem;
	if (!can(SEMUNDO_CAP_SIGNAL))
		return;
	o.capacity = 9;
	if (!can(SEMUNDO_CAP_MAXIMUM)) {
		must_fail(semundo_open(&sem, named("s"), CREATE, &o), ENOTSUP, "'s'");
		return;
	}
	must(semundo_open(&sem, named("s"), CREATE, &o));
	ck_assert_int_eq((int)value_of(sem), 7);
	must(semundo_release(sem, 2));
	must_fail(semundo_release(sem, 1), EOVERFLOW, "'s'");
	ck_assert_int_eq((int)value_of(sem), 9);
	must_be(semundo_acquire(sem, 9), 0);
	must_fail(semundo_acquire(sem, 10), ERANGE, "maximum is 9");
	ck_assert_int_eq((int)value_of(sem), 0);
	must(semundo_close(sem));
}
END_TEST

START_TEST(the_kind_is_checked_at_open)
{
	semundo_t *sem = make("s", _i, 1), *other = NULL;
	for (int kind = SEMUNDO_LOCK; sem && kind <= SEMUNDO_SIGNAL; kind++) {
		struct semundo_options o = with_units(kind, 1);
		if (!can(cap_of(kind)))
			continue;
		if (kind == _i) {
			must(semundo_open(&other, named("s"), 0, &o));
			must(semundo_close(other));
			continue;
		}
		must_fail_unchanged(semundo_open(&other, named("s"), 0, &o), EPROTOTYPE, "'s'");
		must_fail_unchanged(semundo_open(&other, named("s"), CREATE, &o), EPROTOTYPE, "'s'");
	}
	must(semundo_close(sem));
}
END_TEST

/* ---- without a name ---- */

static semundo_t *nameless(int kind, unsigned units)
{
	struct semundo_options o = with_units(kind, units);
	semundo_t *sem = NULL;
	if (strcmp(the->name, "native") != 0 || !can(SEMUNDO_CAP_ANONYMOUS | cap_of(kind)))
		return NULL; /* without a name there is no prefix: it is native */
	must(semundo_anonymous(&sem, &o));
	return sem;
}

START_TEST(a_child_shares_it_through_the_handle)
{
	semundo_t *sem = nameless(_i, 1);
	if (!sem)
		return;
	struct worker *a = worker_fork(sem), *b = worker_fork(sem);
	ck_assert_str_eq(info_of(sem).name, "");
	must_be(semundo_acquire(sem, 1), 0);
	worker_must_be(a, held, 0, 0);
	worker_must_be(a, semundo_try_acquire, 1, -EAGAIN);
	must(semundo_release(sem, 1));
	worker_must(a, semundo_acquire, 1);
	worker_start(b, semundo_acquire, 1);
	worker_sleeps(b);
	worker_must(a, semundo_release, 1);
	worker_result_must_be(b, 0);
	worker_kill(b);
	if (_i != SEMUNDO_SIGNAL)
		worker_must_be(a, semundo_acquire, 1, 1);
	must(semundo_close(sem));
}
END_TEST

START_TEST(a_stranger_opens_it_by_descriptor)
{
	struct worker *a = worker_stranger(), *b = worker_stranger();
	semundo_t *sem = nameless(_i, 1), *same;
	int fd;
	if (!sem)
		return;
	must(semundo_descriptor(sem, &fd));
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	must(semundo_open_fd(&same, fd, NULL));
	ck_assert_ptr_eq(sem, same);
	must(semundo_close(same));
	worker_give(a, fd);
	worker_give(b, fd);
	close(fd);
	worker_must(a, semundo_acquire, 1);
	ck_assert_int_eq((int)value_of(sem), 0);
	/* They have it without us. */
	must(semundo_close(sem));
	worker_start(b, semundo_acquire, 1);
	worker_sleeps(b);
	if (_i == SEMUNDO_SIGNAL)
		worker_must(a, semundo_release, 1);
	else
		worker_kill(a);
	worker_result_must_be(b, _i == SEMUNDO_SIGNAL ? 0 : 1);
}
END_TEST

static unsigned descriptors(void)
{
	unsigned count = 0;
	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

START_TEST(one_may_keep_no_descriptor)
{
	struct semundo_options o = with_units(_i, 1);
	semundo_t *first = nameless(_i, 1), *sem = NULL, *none = NULL;
	int fd = -1;
	if (!first)
		return;
	unsigned before = descriptors();
	o.flags = SEMUNDO_NO_DESCRIPTOR;
	must(semundo_anonymous(&sem, &o));
	ck_assert_uint_eq(descriptors(), before);
	must_fail_unchanged(semundo_descriptor(sem, &fd), ENOENT, "no descriptor");
	ck_assert_uint_eq(info_of(sem).capacity, info_of(first).capacity);
	must_fail_unchanged(semundo_open(&none, named("s"), CREATE, &o), EINVAL, "flags 0x1");
	struct worker *w = worker_fork(sem);
	worker_must(w, semundo_acquire, 1);
	must_be(semundo_try_acquire(sem, 1), -EAGAIN);
	worker_kill(w);
	if (_i != SEMUNDO_SIGNAL)
		must_be(semundo_acquire(sem, 1), 1);
	must(semundo_close(sem));
	must(semundo_close(first));
}
END_TEST

START_TEST(an_anonymous_one_leaves_nothing)
{
	char *before = picture(getenv("SEMUNDO_DIR"));
	must(semundo_close(nameless(_i, 1)));
	char *after = picture(getenv("SEMUNDO_DIR"));
	ck_assert_str_eq(before, after);
	free(before);
	free(after);
}
END_TEST

START_TEST(a_named_one_has_a_descriptor_while_it_has_its_name)
{
	semundo_t *sem = make("s", _i, 1), *other;
	struct worker *stranger;
	int fd = -1;
	if (!sem)
		return;
	if (!can(SEMUNDO_CAP_ANONYMOUS)) {
		must_fail(semundo_descriptor(sem, &fd), ENOTSUP, "'s'");
		must(semundo_close(sem));
		return;
	}
	stranger = worker_stranger();
	must(semundo_descriptor(sem, &fd));
	worker_give(stranger, fd);
	close(fd);
	worker_must(stranger, semundo_acquire, 1);
	ck_assert_int_eq((int)value_of(sem), 0);
	must(semundo_unlink(named("s"), NULL));
	fd = -1;
	must_fail(semundo_descriptor(sem, &fd), ENOENT, "'s'");
	other = make("s", _i, 1);
	must_fail(semundo_descriptor(sem, &fd), ENOENT, "'s'");
	ck_assert_int_eq(fd, -1);
	must(semundo_close(sem));
	must(semundo_close(other));
}
END_TEST

START_TEST(a_wrong_descriptor_is_refused)
{
	semundo_t *sem = NULL;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int path = open(getenv("SEMUNDO_DIR"), O_PATH | O_CLOEXEC);
	must_fail(semundo_open_fd(&sem, -1, NULL), EBADF, "anonymous");
	must_fail(semundo_open_fd(&sem, 1000000, NULL), EBADF, "anonymous");
	must_fail(semundo_open_fd(&sem, null, NULL), EUCLEAN, "not a regular file");
	must_fail(semundo_open_fd(&sem, path, NULL), EUCLEAN, "not a regular file");
	ck_assert_ptr_null(sem);
	close(null);
	close(path);
}
END_TEST

void add_sharing(Suite *suite)
{
	TCase *t = suite_case(suite, "options");
	tcase_add_test(t, bad_options_are_refused);
	tcase_add_test(t, the_default_is_one_permit_for_its_maker);
	tcase_add_test(t, shorter_options_are_understood);
	add_all_kinds(t, the_mode_is_exact);
	tcase_add_test(t, first_values_are_as_asked);
	add_all_kinds(t, the_kind_is_checked_at_open);
	t = suite_case(suite, "sharing");
	add_all_kinds(t, a_child_shares_it_through_the_handle);
	add_all_kinds(t, a_stranger_opens_it_by_descriptor);
	add_all_kinds(t, an_anonymous_one_leaves_nothing);
	add_all_kinds(t, one_may_keep_no_descriptor);
	add_all_kinds(t, a_named_one_has_a_descriptor_while_it_has_its_name);
	tcase_add_test(t, a_wrong_descriptor_is_refused);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of other C libraries and word sizes share a semaphore. */
#include "common.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

struct program {
	const char *what;
	const char *argv[3]; /* empty: it was not built */
	const char *needs;
};

static struct program glibc = { "glibc", { PEER }, "" };
static struct program musl = { "musl", { PEER_MUSL }, "musl-gcc when the build is set up (musl-tools)" };
static struct program narrow = { "32 bits", { PEER_32 },
	                         "a compiler for -m32 when the build is set up (gcc-12-multilib)" };

/* 0 if it runs here. */
static int try_run(const char *const argv[])
{
	const char *const line[] = { argv[0], argv[1] ? argv[1] : "directory",
		                     argv[1] ? "directory" : NULL, NULL };
	struct child c;
	program_start(&c, line);
	return child_end(&c);
}

/* A kernel may run no 32-bit programs; an emulator does, but it does not hand
 * robust lists to the kernel. */
static void need_to_run(struct program *p)
{
	static const char *const emulators[] = { "qemu-i386", "qemu-i386-static" };
	if (!*p->argv[0])
		skip("needs %s", p->needs);
	if (try_run(p->argv) == 0)
		return;
	ck_assert_msg(p == &narrow, "the program for %s does not run", p->what);
	p->argv[1] = p->argv[0];
	for (int i = 0; i < 2; i++) {
		p->argv[0] = emulators[i];
		if (try_run(p->argv) == 0) {
			note("32-bit programs run by %s", emulators[i]);
			return;
		}
	}
	skip("needs a kernel that runs 32-bit programs, or qemu-i386 (qemu-user)");
}

static void start(struct child *c, const struct program *p)
{
	program_start(c, p->argv);
	ck_assert_int_eq(program_does(c, "create " NAME " 2"), 0);
}

/* A's death, while B waits. */
static void expect_death_between(struct child *a, struct child *b, const char *what)
{
	uint64_t started = now_ns();
	ck_assert_int_eq(kill(a->pid, SIGKILL), 0);
	uint64_t allowed = time_allowed(b);
	double took = (double)(now_ns() - started) / 1e6;
	ck_assert_int_eq(program_result(b, NULL), 1);
	child_end(a);
	ck_assert_msg(took < (double)allowed / 1e6, "%s: noticed only after %.1f ms", what, took);
	note("%s: noticed after %.1f ms", what, took);
}

/* a creates; each waits for the other, and sees it die. */
static void share(const struct program *of_a, const struct program *of_b)
{
	struct child a, b;
	start(&a, of_a);
	start(&b, of_b);
	ck_assert_int_eq(do_open(SEMUNDO_OBSERVE), 0);
	ck_assert_int_eq(program_does(&a, "acquire 2"), 0);
	ck_assert_int_eq(program_does(&b, "try 1"), -EAGAIN);
	ck_assert_int_eq(program_does(&b, "recover"), 0);
	ck_assert_int_eq(program_does(&b, "timed 30"), -ETIMEDOUT);
	program_order(&b, "acquire 2");
	await_waiters(1);
	ck_assert_int_eq(program_does(&a, "release 2"), 0);
	ck_assert_int_eq(program_result(&b, NULL), 0);
	ck_assert_int_eq(program_does(&a, "recover"), 0);
	program_order(&a, "acquire 1");
	await_waiters(1);
	ck_assert_int_eq(program_does(&b, "release 1"), 0);
	ck_assert_int_eq(program_result(&a, NULL), 0);
	ck_assert_int_eq((int)value(), 0);
	ck_assert_int_eq((int)info().peers, 2);
	program_order(&a, "acquire 1");
	await_waiters(1);
	expect_death_between(&b, &a, of_b->what);
	start(&b, of_b);
	program_order(&b, "acquire 2");
	await_waiters(1);
	expect_death_between(&a, &b, of_a->what);
	ck_assert_int_eq(program_does(&b, "value"), 0);
	child_kill(&b);
	ck_assert_int_eq(semundo_close(sem), 0);
	ck_assert_int_eq(semundo_unlink(NAME, NULL), 0);
}

static void share_both_ways(struct program *a, struct program *b)
{
	need_to_run(a);
	need_to_run(b);
	share(a, b);
	share(b, a);
}

START_TEST(glibc_and_musl)
{
	share_both_ways(&glibc, &musl);
}
END_TEST

START_TEST(two_of_musl)
{
	share_both_ways(&musl, &musl);
}
END_TEST

START_TEST(words_of_32_and_64_bits)
{
	share_both_ways(&glibc, &narrow);
}
END_TEST

START_TEST(two_of_32_bits)
{
	share_both_ways(&narrow, &narrow);
}
END_TEST

START_TEST(musl_and_32_bits)
{
	share_both_ways(&musl, &narrow);
}
END_TEST

static const struct trial trials[] = {
	{ "glibc and musl", &glibc_and_musl, 0 },
	{ "musl alone", &two_of_musl, 0 },
	{ "64 and 32 bits", &words_of_32_and_64_bits, 0 },
	{ "32 bits alone", &two_of_32_bits, 0 },
	{ "musl and 32 bits", &musl_and_32_bits, 0 },
};

int main(void)
{
	return RUN("mixed", trials);
}

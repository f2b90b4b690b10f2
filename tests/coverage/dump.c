/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linked into tests where coverage is measured (-Db_coverage=true), with
 * -Wl,--wrap: processes that end without exit(3), or kill themselves at a crash
 * point, write their counts first. Those killed from outside do not.
 */
#include <gcov.h>
#include <signal.h>

void __real__exit(int status) __attribute__((noreturn));
int __real_raise(int signal);
void __wrap__exit(int status) __attribute__((noreturn));
int __wrap_raise(int signal);

void __wrap__exit(int status)
{
	__gcov_dump();
	__real__exit(status);
}

int __wrap_raise(int signal)
{
	if (signal == SIGKILL)
		__gcov_dump();
	return __real_raise(signal);
}

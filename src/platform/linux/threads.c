/* SPDX-License-Identifier: Apache-2.0 */
/* Memory barriers in other threads: membarrier(2). */
#include "platform/threads.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "atomics.h"

static bool is_registered(void)
{
	return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

/* The thread sanitizer takes what is ordered by a system call for a race. */
#ifdef __SANITIZE_THREAD__
#define HAS_SANITIZER true
#else
#define HAS_SANITIZER false
#endif

bool semundo__can_fence_threads(void)
{
	static int known; /* 0: not asked, 1: yes, 2: no */
	if (load_relaxed(&known) == 0 && is_single_threaded())
		store_relaxed(&known, !HAS_SANITIZER && is_registered() ? 1 : 2);
	return load_relaxed(&known) == 1;
}

void semundo__fence_threads(void)
{
	syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}

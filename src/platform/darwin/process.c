/* SPDX-License-Identifier: Apache-2.0 */
/* Processes on macOS, and memory that a child's first step wipes. */
#include "platform/process.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCKS_MAX 1024u

/* There is no inheritance of zeroes (minherit(2)): pages are remembered. */
static struct {
	void *memory;
	size_t bytes;
} blocks[BLOCKS_MAX];
static unsigned block_count;

uint32_t semundo__process_id(void)
{
	return (uint32_t)getpid();
}

uint32_t semundo__thread_id(void)
{
	uint64_t id = 0;
	pthread_threadid_np(NULL, &id);
	return (uint32_t)id;
}

bool semundo__is_privileged(void)
{
	return issetugid() != 0;
}

void *semundo__wiped_pages(size_t bytes)
{
	if (block_count == BLOCKS_MAX)
		return NULL;
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	blocks[block_count].memory = p;
	blocks[block_count++].bytes = bytes;
	return p;
}

void semundo__wipe_after_fork(void)
{
	for (unsigned i = 0; i < block_count; i++)
		memset(blocks[i].memory, 0, blocks[i].bytes);
}

size_t semundo__page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

uint32_t semundo__umask(void)
{
	mode_t mask = umask(0); /* there is no way to read it only */
	umask(mask);
	return mask & 0777;
}

int semundo__random(void *ret, size_t bytes)
{
	return getentropy(ret, bytes) < 0 ? -errno : 0;
}

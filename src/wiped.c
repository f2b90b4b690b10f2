/* SPDX-License-Identifier: Apache-2.0 */
#include "wiped.h"

#include <stdlib.h>
#include <string.h>

#include "platform/process.h"

/* Free chunks, as a stack in ordinary memory: a child inherits which chunks
 * are taken, and finds their contents wiped. */
static void **free_chunks;
static size_t free_count, known_count;

static int add_pages(void)
{
	size_t bytes = semundo__page_size();
	size_t more = bytes / WIPED_CHUNK;
	void **stack = realloc(free_chunks, (known_count + more) * sizeof(*stack));
	if (!stack)
		return -1;
	free_chunks = stack;
	char *pages = semundo__wiped_pages(bytes);
	if (!pages)
		return -1;
	for (size_t i = more; i-- > 0;)
		free_chunks[free_count++] = pages + i * WIPED_CHUNK;
	known_count += more;
	return 0;
}

void *semundo__wiped_new(void)
{
	if (free_count == 0 && add_pages() < 0)
		return NULL;
	void *chunk = free_chunks[--free_count];
	memset(chunk, 0, WIPED_CHUNK);
	return chunk;
}

void semundo__wiped_free(void *chunk)
{
	if (chunk)
		free_chunks[free_count++] = chunk;
}

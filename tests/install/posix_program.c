/* SPDX-License-Identifier: Apache-2.0 */
/* A program that knows POSIX only, in C and C++. */
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>

int main(void)
{
	int before = -1, after = -1;
	sem_t local, *sem = sem_open("/posix-program", O_CREAT | O_EXCL, 0600, 2);
	if (sem == SEM_FAILED || sem_getvalue(sem, &before) || sem_wait(sem))
		return 1;
	if (sem_getvalue(sem, &after) || sem_close(sem))
		return 1;
	if (sem_init(&local, 0, 0) || sem_post(&local) || sem_wait(&local) || sem_destroy(&local))
		return 1;
	printf("value %d, then %d\n", before, after);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* usage: plain VERB NAME
 * A program that knows nothing of semundo. make: creates with value 2 and waits
 * for a line; post; wait; value: prints it. */
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	int value, make = argc == 3 && strcmp(argv[1], "make") == 0;
	sem_t *sem = argc != 3 ? SEM_FAILED :
		     make ? sem_open(argv[2], O_CREAT | O_EXCL, 0600, 2) : sem_open(argv[2], 0);
	if (sem == SEM_FAILED) {
		perror("sem_open");
		return 2;
	}
	if (make)
		return 0;
	if (strcmp(argv[1], "post") == 0)
		return sem_post(sem) < 0;
	if (strcmp(argv[1], "wait") == 0)
		return sem_wait(sem) < 0;
	return sem_getvalue(sem, &value) < 0 || printf("%d\n", value) < 0;
}

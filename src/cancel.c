/* SPDX-License-Identifier: Apache-2.0 */
#include "cancel.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "atomics.h"
#include "error.h"
#include "platform/wait.h"
#include "semundo.h"

int semundo_cancel_new(semundo_cancel_t **ret_token)
{
	struct semundo_cancel *token = calloc(1, sizeof(*token));
	if (!token)
		return semundo__fail(-ENOMEM, "cannot make a cancel token: no memory");
	*ret_token = token;
	return 0;
}

void semundo_cancel(semundo_cancel_t *token)
{
	store_release(&token->cancelled, 1); /* pairs with is_cancelled() in wait_loop.c */
	semundo__wake_private(&token->cancelled, INT_MAX);
}

void semundo_cancel_reset(semundo_cancel_t *token)
{
	store_release(&token->cancelled, 0);
}

void semundo_cancel_free(semundo_cancel_t *token)
{
	free(token);
}

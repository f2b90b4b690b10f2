/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SEMUNDO_CANCEL_H
#define SEMUNDO_CANCEL_H

#include <stdint.h>

/* A word of this process: 1 once cancelled. Sleepers watch it. */
struct semundo_cancel {
	uint32_t cancelled;
};

#endif

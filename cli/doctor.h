/* SPDX-License-Identifier: Apache-2.0 */
/* What `semundo doctor` finds, as JSON, which is printed or told from. */
#ifndef SEMUNDO_CLI_DOCTOR_H
#define SEMUNDO_CLI_DOCTOR_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct report {
	json_t *limits;   /* engine, name, used, limit, free, setting */
	json_t *engines;  /* name, usable, why, can */
	json_t *warnings; /* what, todo */
	bool failed;      /* no memory */
};

/* used or limit below 0: not known, or none. setting: how to change it. */
void add_limit(struct report *report, const char *engine, const char *name, int64_t used,
               int64_t limit, const char *setting);
void add_warning(struct report *report, const char *todo, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* doctor_system.c: looks under root ("" for the machine's own) on behalf of uid. */
void look_at_directory(struct report *report, const char *engine, const char *path);
void look_at_sysv(struct report *report);
void look_at_logind(struct report *report, const char *root, uint32_t uid);

#endif

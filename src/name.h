/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SEMUNDO_NAME_H
#define SEMUNDO_NAME_H

#include "engine.h"

/* Splits "engine:NAME" and checks both: 0, -EINVAL or -ENAMETOOLONG, with a
 * sentence. */
int semundo__parse_name(const char *text, const struct engine **ret_engine,
                        const char **ret_name);

#endif

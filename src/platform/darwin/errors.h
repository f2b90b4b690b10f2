/* SPDX-License-Identifier: Apache-2.0 */
/* Read before every source file: errors that macOS has under another name. */
#ifndef SEMUNDO_PLATFORM_DARWIN_ERRORS_H
#define SEMUNDO_PLATFORM_DARWIN_ERRORS_H

#include <errno.h>

#ifndef EUCLEAN
#define EUCLEAN EFTYPE /* "inappropriate file type or format" */
#endif

#endif

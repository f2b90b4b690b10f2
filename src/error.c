/* SPDX-License-Identifier: Apache-2.0 */
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "platform/tls.h"

/* Small, and reached without an allocation, so that semundo_release() may use
 * it in a signal handler. */
static FAST_THREAD_LOCAL struct {
	const char *format; /* not null: newer than `sentence` */
	const semundo_t *sem;
} late;

static __thread char sentence[640];

int semundo__fail(int result, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	late.format = NULL;
	return result;
}

int semundo__fail_static(int result, const char *format, const semundo_t *sem)
{
	late.sem = sem;
	late.format = format;
	return result;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void write_late(void)
{
	char name[SEMUNDO_NAME_MAX + 1];
	if (!semundo__known_name(late.sem, name, sizeof(name)))
		snprintf(name, sizeof(name), "(closed)");
	snprintf(sentence, sizeof(sentence), late.format, *name ? name : "(anonymous)");
	late.format = NULL;
}
#pragma GCC diagnostic pop

const char *semundo_error(void)
{
	if (late.format)
		write_late();
	return *sentence ? sentence : "no error";
}

const char *semundo__reason(int result)
{
	return strerror(-result);
}

#define NAMED(code) { code, #code }

static const struct {
	int code;
	const char *name;
} codes[] = {
	NAMED(EACCES), NAMED(EAGAIN),    NAMED(EBADF),   NAMED(EBUSY),   NAMED(ECANCELED),
	NAMED(EEXIST), NAMED(EINTR),     NAMED(EINVAL),  NAMED(EIO),     NAMED(EISDIR),
	NAMED(ELOOP),  NAMED(EMFILE),    NAMED(ENFILE),  NAMED(ENOENT),  NAMED(ENOEXEC),
	NAMED(ENOLCK), NAMED(ENOMEM),    NAMED(ENOSPC),  NAMED(ENOTDIR), NAMED(ENOTSUP),
	NAMED(EPERM),  NAMED(EOVERFLOW), NAMED(ERANGE),  NAMED(EROFS),   NAMED(ESTALE),
	NAMED(ENXIO),  NAMED(ETIMEDOUT), NAMED(EUCLEAN), NAMED(EUSERS),  NAMED(EPROTOTYPE),
	NAMED(ENAMETOOLONG), NAMED(EIDRM), NAMED(ENOSYS), NAMED(E2BIG),
};

const char *semundo_error_name(int result)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].code == -result)
			return codes[i].name;
	return NULL;
}

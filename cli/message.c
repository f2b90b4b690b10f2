/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "cli.h"

const struct verb *current_verb;

/* Terminals are not to be steered by a name or by a command's arguments: C0,
 * DEL, and C1 in its UTF-8 form (0xc2 0x80 to 0x9f). */
void put_visible(FILE *to, const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f) {
			fprintf(to, "\\xc2\\x%02x", p[1]);
			p++;
		} else if (*p < 0x20 || *p == 0x7f) {
			fprintf(to, "\\x%02x", *p);
		} else {
			putc(*p, to);
		}
	}
}

static void say(const char *format, va_list arguments)
{
	char text[2048];
	vsnprintf(text, sizeof(text), format, arguments);
	fprintf(stderr, "semundo%s%s: ", current_verb ? " " : "",
	        current_verb ? current_verb->name : "");
	put_visible(stderr, text);
	putc('\n', stderr);
}

int fail(int status, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	say(format, arguments);
	va_end(arguments);
	return status;
}

void note(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	say(format, arguments);
	va_end(arguments);
}

int status_of(int result)
{
	switch (-result) {
	case EINVAL:
	case ERANGE:
	case ENAMETOOLONG:
		return STATUS_USAGE;
	case EPROTOTYPE:
	case EUCLEAN:
	case ENOEXEC:
	case ELOOP:
	case ENOTSUP:
	case ENXIO:
		return STATUS_DATA;
	case ENOENT:
	case EIDRM:
	case ENOTDIR:
	case ESRCH:
		return STATUS_NO_INPUT;
	case EOVERFLOW:
		return STATUS_NOT_HELD;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOLCK:
		return STATUS_OS;
	case EEXIST:
	case ENOSPC:
	case EROFS:
		return STATUS_CANT_CREATE;
	case EUSERS:
	case EBUSY:
	case ESTALE:
	case EAGAIN:
		return STATUS_TEMPORARY;
	case EACCES:
	case EPERM:
		return STATUS_NO_PERMISSION;
	default:
		return STATUS_SOFTWARE;
	}
}

int fail_library(int result)
{
	return fail(status_of(result), "%s", semundo_error());
}

int finish_output(void)
{
	if (!fflush(stdout) && !ferror(stdout))
		return STATUS_OK;
	return fail(STATUS_IO, "cannot write to standard output: %s", strerror(errno));
}

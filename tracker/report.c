/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define COMPLAINTS 100
#define LINE 2000
#define PIPE_MOST 4096 /* what poll(2) promises room for */

static unsigned long complaints, left_out;
static int patience_ms;

/* A pipe that poll(2) calls writable takes a page without blocking. */
static void put(const char *text, size_t length)
{
	struct pollfd polled = { STDERR_FILENO, POLLOUT, 0 };
	if (poll(&polled, 1, patience_ms) > 0 && !(polled.revents & (POLLERR | POLLNVAL)) &&
	    write(STDERR_FILENO, text, length) == (ssize_t)length)
		return;
	left_out++;
}

/* Terminals are not to be steered by a name or a command. */
static size_t make_visible(const char *text, size_t length, char *ret, size_t size)
{
	size_t used = 0;
	for (size_t i = 0; i < length && used + 5 < size; i++) {
		unsigned char c = (unsigned char)text[i];
		bool c1 = c == 0xc2 && i + 1 < length && (unsigned char)text[i + 1] < 0xa0;
		if (c < 0x20 || c == 0x7f || c1)
			used += (size_t)snprintf(ret + used, size - used, "\\x%02x", c);
		else
			ret[used++] = text[i];
	}
	return used;
}

static void say_list(const char *begin, const char *format, va_list arguments)
{
	char text[LINE], visible[PIPE_MOST];
	int n = vsnprintf(text, sizeof(text), format, arguments);
	size_t length = n < 0 ? 0 : (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;
	size_t used = (size_t)snprintf(visible, sizeof(visible), "%s", begin);
	used += make_visible(text, length, visible + used, sizeof(visible) - used - 1);
	visible[used++] = '\n';
	put(visible, used);
}

void say(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	say_list("semundo-tracker: ", format, arguments);
	va_end(arguments);
}

void say_bare(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	say_list("", format, arguments);
	va_end(arguments);
}

void complain(const char *line, size_t length, const char *why)
{
	char visible[300];
	if (complaints++ >= COMPLAINTS)
		return;
	if (!line) {
		say("a line was ignored: %s", why);
		return;
	}
	size_t used = make_visible(line, length, visible, sizeof(visible));
	say("a line was ignored: %s: '%.*s'", why, (int)used, visible);
}

void say_the_rest(void)
{
	patience_ms = 1000;
	if (complaints > COMPLAINTS)
		say("%lu more lines were ignored", complaints - COMPLAINTS);
	if (left_out)
		say("%lu messages did not fit into standard error", left_out);
	complaints = left_out = 0;
}

void time_text(int64_t seconds, char *ret)
{
	time_t t = (time_t)seconds;
	struct tm tm;
	if (!localtime_r(&t, &tm) || !strftime(ret, TIME_SIZE, "%Y-%m-%d %H:%M:%S", &tm))
		snprintf(ret, TIME_SIZE, "?");
}

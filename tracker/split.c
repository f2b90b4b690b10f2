/* SPDX-License-Identifier: Apache-2.0 */
/* Lines out of bytes, and bytes out of base64. */
#include <stdint.h>
#include <string.h>

#include "line.h"

/* ---- lines ------------------------------------------------------------------ */

static void add(struct splitter *splitter, const char *bytes, size_t length)
{
	if (splitter->too_long)
		return;
	if (length > sizeof(splitter->text) - 1 - splitter->used) {
		splitter->too_long = true;
		return;
	}
	memcpy(splitter->text + splitter->used, bytes, length);
	splitter->used += length;
}

static void give(struct splitter *splitter, line_function *function, void *arg)
{
	function(arg, splitter->too_long ? NULL : splitter->text, splitter->used);
	splitter->used = 0;
	splitter->too_long = false;
}

void split(struct splitter *splitter, const char *bytes, size_t length, line_function *function,
           void *arg)
{
	const char *end = bytes + length;
	while (bytes < end) {
		const char *newline = memchr(bytes, '\n', (size_t)(end - bytes));
		const char *stop = newline ? newline : end;
		add(splitter, bytes, (size_t)(stop - bytes));
		if (newline)
			give(splitter, function, arg);
		bytes = stop + (newline ? 1 : 0);
	}
}

void split_end(struct splitter *splitter, line_function *function, void *arg)
{
	if (splitter->used || splitter->too_long)
		give(splitter, function, arg);
}

/* ---- base64, URL-safe --------------------------------------------------------- */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int value_of(char c)
{
	const char *found = c ? strchr(digits, c) : NULL;
	return found ? (int)(found - digits) : -1;
}

/* Four characters at text to up to three bytes; their number, or -1. */
static int decode_group(const char *text, char *ret)
{
	int length = text[3] != '=' ? 3 : text[2] != '=' ? 2 : 1;
	uint32_t bits = 0;
	for (int i = 0; i < 4; i++) {
		int value = i <= length ? value_of(text[i]) : 0;
		if (value < 0)
			return -1;
		bits = bits << 6 | (uint32_t)value;
	}
	for (int i = 0; i < length; i++)
		ret[i] = (char)(bits >> (16 - 8 * i));
	return length;
}

bool base64_decode(const char *text, char *ret, size_t size)
{
	size_t length = strlen(text), used = 0;
	if (length % 4 || length / 4 * 3 >= size)
		return false;
	for (size_t i = 0; i < length; i += 4) {
		int n = decode_group(text + i, ret + used);
		if (n < 0 || (n < 3 && i + 4 < length))
			return false;
		used += (size_t)n;
	}
	ret[used] = '\0';
	return strlen(ret) == used;
}

void base64_encode(const char *bytes, size_t length, char *ret)
{
	for (size_t i = 0; i < length; i += 3) {
		uint32_t bits = (uint32_t)(unsigned char)bytes[i] << 16;
		if (i + 1 < length)
			bits |= (uint32_t)(unsigned char)bytes[i + 1] << 8;
		if (i + 2 < length)
			bits |= (uint32_t)(unsigned char)bytes[i + 2];
		*ret++ = digits[bits >> 18 & 63];
		*ret++ = digits[bits >> 12 & 63];
		*ret++ = i + 1 < length ? digits[bits >> 6 & 63] : '=';
		*ret++ = i + 2 < length ? digits[bits & 63] : '=';
	}
	*ret = '\0';
}

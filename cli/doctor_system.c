/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of the system, and settings that remove semaphores in use. */
#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cli.h"
#include "doctor.h"
#include "platform/sysv.h"

#define MIB (1 << 20)
#define FIRST_USER 1000 /* of logind's: below are system users, which it leaves alone */

/* ---- directories ------------------------------------------------------------------ */

void look_at_directory(struct report *report, const char *engine, const char *path)
{
	struct statvfs fs;
	char setting[PATH_MAX + 64];
	if (statvfs(path, &fs) < 0) {
		add_warning(report, "create it, or set SEMUNDO_DIR", "%s cannot be looked at: %s", path,
		            strerror(errno));
		return;
	}
	int64_t block = (int64_t)fs.f_frsize, total = block * (int64_t)fs.f_blocks;
	int64_t available = block * (int64_t)fs.f_bavail;
	snprintf(setting, sizeof(setting), "size of the filesystem at %s", path);
	add_limit(report, engine, "bytes", total - available, total, setting);
	add_limit(report, engine, "files", (int64_t)(fs.f_files - fs.f_ffree),
	          fs.f_files ? (int64_t)fs.f_files : -1, setting);
	if (total > 0 && (available < MIB || available < total / 50))
		add_warning(report, "free some space there, or make it larger (mount -o remount,size=)",
		            "%s has %" PRId64 " KiB left of %" PRId64 " KiB", path, available / 1024,
		            total / 1024);
	if (fs.f_files && fs.f_ffree < 16)
		add_warning(report, "remove some, or allow more (mount -o remount,nr_inodes=)",
		            "%s has room for %" PRIu64 " more files", path, (uint64_t)fs.f_ffree);
	if (fs.f_flag & ST_RDONLY)
		add_warning(report, "use another directory (SEMUNDO_DIR)", "%s is read-only", path);
}

/* ---- System V ----------------------------------------------------------------------- */

static void warn_if_scarce(struct report *report, const char *what, uint64_t used, uint64_t limit,
                           const char *setting)
{
	if (limit && used >= limit - limit / 10)
		add_warning(report, setting, "%" PRIu64 " of %" PRIu64 " System V semaphore %s are in use",
		            used, limit, what);
}

void look_at_sysv(struct report *report)
{
	struct sysv_limits l;
	if (semundo__sysv_limits(&l) < 0)
		return; /* the engine has said that there are none */
	add_limit(report, "sysv", "SEMMNI", (int64_t)l.sets_used, (int64_t)l.sets_max, l.setting);
	add_limit(report, "sysv", "SEMMNS", (int64_t)l.all_used, (int64_t)l.all_max, l.setting);
	add_limit(report, "sysv", "SEMMSL", -1, (int64_t)l.in_set_max, l.setting);
	add_limit(report, "sysv", "SEMOPM", -1, (int64_t)l.operations_max, l.setting);
	add_limit(report, "sysv", "SEMVMX", -1, SYSV_VALUE_MAX, NULL);
	warn_if_scarce(report, "sets (SEMMNI)", l.sets_used, l.sets_max, l.setting);
	warn_if_scarce(report, "entries (SEMMNS)", l.all_used, l.all_max, l.setting);
	if (l.operations_max < 4)
		add_warning(report, l.setting, "SEMOPM is %" PRIu64 ", and the sysv engine needs 4",
		            l.operations_max);
}

/* ---- systemd-logind -------------------------------------------------------------------- */

/* The last line that sets it decides. */
static void read_setting(const char *path, char *ret, size_t size)
{
	char line[512];
	FILE *from = fopen(path, "re");
	while (from && fgets(line, sizeof(line), from)) {
		char *p = line + strspn(line, " \t");
		if (strncmp(p, "RemoveIPC", 9) != 0)
			continue;
		p += 9 + strspn(p + 9, " \t");
		if (*p != '=')
			continue;
		p += 1 + strspn(p + 1, " \t");
		p[strcspn(p, " \t\r\n")] = '\0';
		snprintf(ret, size, "%s", p);
	}
	if (from)
		fclose(from);
}

static bool is_yes(const char *text)
{
	static const char *const words[] = { "yes", "y", "true", "t", "on", "1" };
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(text, words[i]) == 0)
			return true;
	return false;
}

static void read_all(const char *root, char *ret, size_t size)
{
	static const char *const directories[] = { "usr/lib/systemd", "run/systemd", "etc/systemd" };
	char path[PATH_MAX];
	glob_t found;
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s/logind.conf", root, directories[i]);
		read_setting(path, ret, size);
	}
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s/logind.conf.d/*.conf", root, directories[i]);
		if (glob(path, 0, NULL, &found) == 0)
			for (size_t k = 0; k < found.gl_pathc; k++)
				read_setting(found.gl_pathv[k], ret, size);
		globfree(&found);
	}
}

/* When the last session of a user ends, logind removes what that user owns in
 * /dev/shm, and its System V sets: logind.conf(5). The setting is on by default. */
void look_at_logind(struct report *report, const char *root, uint32_t uid)
{
	char path[PATH_MAX], setting[64] = "yes";
	snprintf(path, sizeof(path), "%s/run/systemd/seats", root);
	if (access(path, F_OK) < 0)
		return; /* it does not run */
	read_all(root, setting, sizeof(setting));
	if (is_yes(setting) && uid >= FIRST_USER)
		add_warning(report,
		            "set RemoveIPC=no in /etc/systemd/logind.conf, or let the user linger "
		            "(loginctl enable-linger), or run as a system user",
		            "logind removes semaphores of user %u, in use or not, when the user's last "
		            "session ends (RemoveIPC=%s)",
		            uid, setting);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Contract: thread-local memory that is there without an allocation, so that a
 * signal handler may touch it first. Little of it: it comes out of a fixed
 * surplus when the library is loaded with dlopen(3). */
#ifndef SEMUNDO_PLATFORM_TLS_H
#define SEMUNDO_PLATFORM_TLS_H

#if defined(__ELF__)
#define FAST_THREAD_LOCAL __thread __attribute__((tls_model("initial-exec")))
#else
#define FAST_THREAD_LOCAL __thread
#endif

#endif

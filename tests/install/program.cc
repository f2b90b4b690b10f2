// SPDX-License-Identifier: Apache-2.0
// The header as C++ sees it: a guard object around an anonymous semaphore.
#include <semundo.h>

#include <cstdio>
#include <stdexcept>

class Semaphore
{
public:
	explicit Semaphore(unsigned capacity)
	{
		semundo_options options = SEMUNDO_OPTIONS_INIT;
		options.kind = SEMUNDO_PERMITS;
		options.capacity = capacity;
		check(semundo_anonymous(&sem, &options));
	}
	Semaphore(const Semaphore &) = delete;
	Semaphore &operator=(const Semaphore &) = delete;
	~Semaphore() { semundo_close(sem); }

	void acquire(unsigned n) { check(semundo_acquire(sem, n)); }
	void release(unsigned n) { check(semundo_release(sem, n)); }
	int64_t value() const
	{
		int64_t v = 0;
		check(semundo_value(sem, &v));
		return v;
	}

private:
	static void check(int result)
	{
		if (result < 0)
			throw std::runtime_error(semundo_error());
	}
	semundo_t *sem = nullptr;
};

int main()
{
	Semaphore sem(3);
	sem.acquire(2);
	if (sem.value() != 1)
		return 1;
	sem.release(2);
	if (sem.value() != 3)
		return 1;
	try {
		sem.release(1);
		return 1;
	} catch (const std::runtime_error &) {
		std::printf("semundo %s\n", semundo_version());
	}
	return 0;
}

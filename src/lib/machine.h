/* machine.h — how much memory there is, as machine and control groups state it.
 *
 * T is the smaller of the machine's memory and the tightest control group (v1 or v2) up the tree; A
 * the least that is available over the same places, where a group's file cache counts as available.
 * $WEIR_SYSTEM_ROOT replaces the root of proc/meminfo, proc/self/cgroup and sys/fs/cgroup, so that
 * a test can state a machine. */
#ifndef LIB_MACHINE_H
#define LIB_MACHINE_H

#include <stdint.h>

struct machine_memory {
    uint64_t total_bytes, available_bytes;
};

/* `root` is "" for the machine itself, else the folder that stands for it. */
struct machine_memory machine_memory(const char *root);

/* Anonymous and shared-anonymous resident bytes of a process, without `shared_with_us` of the
 * latter; 0 when it cannot be read. */
uint64_t machine_private_bytes(int64_t pid, uint64_t shared_with_us);
/* Page faults of a process that had to read from disk, since its start; 0 likewise. Both cost one
 * small file of /proc; smaps would say more and takes 20 ms a GiB. */
uint64_t machine_major_faults(int64_t pid);

/* $WEIR_SYSTEM_ROOT, or "". */
const char *machine_root(void);

/* Another number for a processor that can do other things, and for another $WEIR_CPU: what a worker
 * may choose its kernels by. */
uint64_t machine_processor(void);

uint32_t machine_cores(void); /* that this process may run on; at least 1 */

#endif

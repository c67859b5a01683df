/* parent.h — no worker outlives its parent. The end of the channel says so in any case; this is for
 * the moment when nobody is there to read it. */
#ifndef WORKER_PARENT_H
#define WORKER_PARENT_H

/* From now on the system kills this process when the thread that started it ends. */
void parent_bind(void);

#endif

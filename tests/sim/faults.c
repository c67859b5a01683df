#include "faults.h"

const char *sim_fault_name(enum sim_fault fault)
{
    static const char *const names[FAULT_COUNT] = {
#define X(NAME, says) says,
        SIM_FAULTS(X)
#undef X
    };
    return names[fault];
}

const char *sim_deed_name(enum sim_deed deed)
{
    static const char *const names[DEED_COUNT] = {
#define X(NAME, says) says,
        SIM_DEEDS(X)
#undef X
    };
    return names[deed];
}

#include "worker/fake/fake.h"

int main(int argc, char **argv)
{
    return worker_main(&fake_ops, argc, argv);
}

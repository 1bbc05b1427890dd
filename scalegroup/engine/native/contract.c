/* The separable contraction on CPUs: for float and double, and for three widths of registers.

   Built when the package is installed, if there is a compiler; loaded by `scalegroup.engine.native` through ctypes. The
   OpenMP runtime is the one that torch has loaded. */

#include <omp.h>
#include <stdint.h>

/* Raise it, here and in __init__.py, with every change of what follows: an old library is then not used by new code. */
#define INTERFACE 3

typedef struct {
    int64_t threads, batch, in_channels, out_channels;
    int64_t in[3], out[3];      /* samples along X, Y, Z */
    int64_t functions[3];       /* one-dimensional functions along X, Y, Z */
    int64_t pairs;              /* products of the two functions that are applied on one side of the mix */
    int64_t x_batch, x_channel; /* strides, in numbers */
    int64_t y_batch, y_channel;
    int64_t more, late;         /* add to y; mix after one axis instead of two */
    int64_t slices, rows;       /* of a slab, and of a block within one of its slices */
    int64_t workspace, weights; /* numbers for each thread: to work in, and of the gradient of the weights */
} Shape;

typedef struct {
    const void *matrix[3];  /* X: (out, functions, in); Y: (functions, out, in); Z: (functions, in, out), gradient: as Y */
    const int64_t *band[3]; /* for each row the first column that is not zero, then for each row the end; Z: of columns */
    const int64_t *pair;    /* the two functions of each pair */
    const int64_t *prefix;  /* how many leading pairs each Z function needs; late: how many X functions each pair needs */
} Tables;

#define PASTE(a, b) a##b
#define JOIN(a, b) PASTE(a, b)
#define NAME(x) JOIN(x, SUFFIX)

/* One width of registers after the other; contract.h forgets REAL and SUFFIX at its end. */
#ifdef __x86_64__
#pragma GCC push_options
#pragma GCC target("avx512f,avx2,fma")
#define VECTOR 64
#define ROWS 8
#define REAL float
#define SUFFIX _float_512
#include "contract.h"
#define REAL double
#define SUFFIX _double_512
#include "contract.h"
#undef VECTOR
#undef ROWS
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma")
#define VECTOR 32
#define ROWS 4
#define REAL float
#define SUFFIX _float_256
#include "contract.h"
#define REAL double
#define SUFFIX _double_256
#include "contract.h"
#undef VECTOR
#undef ROWS
#pragma GCC pop_options
#endif

#define VECTOR 16
#define ROWS 4
#define REAL float
#define SUFFIX _float_128
#include "contract.h"
#define REAL double
#define SUFFIX _double_128
#include "contract.h"

int64_t scalegroup_interface(void) { return INTERFACE; }

/* Bytes of the widest registers that this processor and this library have. */
int64_t scalegroup_registers(void) {
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f")) return 64;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 32;
#endif
    return 16;
}

#define RUN(bits) \
    (is_double ? run_double_##bits(s, t, x, mix, y, work, grad) : run_float_##bits(s, t, x, mix, y, work, grad))

/* y (+)= the contraction of x; with `grad` instead the gradient of the weights for x, y being that of the output. */
void scalegroup_contract(int64_t registers, int64_t is_double, const Shape *s, const Tables *t, const void *x,
                         const void *mix, void *y, void *work, void *grad) {
#ifdef __x86_64__
    if (registers == 64) RUN(512);
    else if (registers == 32) RUN(256);
    else
#endif
        RUN(128);
    (void)registers;
}

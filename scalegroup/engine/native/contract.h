/* The separable contraction for one number type and one instruction set; `contract.c` includes this once for each.

   Macros: REAL (the number type), VECTOR (bytes of a register), ROWS (rows of the largest tile), NAME(x) (x with a suffix).

   Every stage is a product of two small row-major matrices. A one-dimensional operator is a banded matrix: it is applied
   to a few output rows at a time, over the columns that these rows read. */

typedef REAL NAME(vec) __attribute__((vector_size(VECTOR), aligned(sizeof(REAL)), may_alias));
#define LANES ((long)(VECTOR / sizeof(REAL)))

/* c (+)= a b for `rows` rows and `wide` registers of columns; called with constants, so that all loops unroll. */
static inline __attribute__((always_inline)) void NAME(tile)(int rows, int wide, long depth, const REAL *a, long lda,
                                                             const REAL *b, long ldb, REAL *c, long ldc, int more) {
    NAME(vec) sum[ROWS][3];
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < wide; j++)
            sum[i][j] = more ? *(const NAME(vec) *)(c + i * ldc + j * LANES) : (NAME(vec)){0};
    for (long k = 0; k < depth; k++) {
        NAME(vec) row[3];
        for (int j = 0; j < wide; j++) row[j] = *(const NAME(vec) *)(b + k * ldb + j * LANES);
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < wide; j++) sum[i][j] += a[i * lda + k] * row[j];
    }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < wide; j++) *(NAME(vec) *)(c + i * ldc + j * LANES) = sum[i][j];
}

/* c (+)= a b for `rows` rows and any number of columns; where they are fewer than LANES, b is read beyond its end. */
static inline __attribute__((always_inline)) void NAME(strip)(int rows, long columns, long depth, const REAL *a,
                                                              long lda, const REAL *b, long ldb, REAL *c, long ldc,
                                                              int more) {
    long j = 0;
    for (; j + 3 * LANES <= columns; j += 3 * LANES) NAME(tile)(rows, 3, depth, a, lda, b + j, ldb, c + j, ldc, more);
    for (; j + LANES <= columns; j += LANES) NAME(tile)(rows, 1, depth, a, lda, b + j, ldb, c + j, ldc, more);
    if (j == columns) return;
    /* The last register holds columns beyond the end, or some that are done already; only the new ones are kept. */
    long from = columns >= LANES ? columns - LANES : 0;
    REAL last[ROWS * (VECTOR / sizeof(REAL))];
    NAME(tile)(rows, 1, depth, a, lda, b + from, ldb, last, LANES, 0);
    for (int i = 0; i < rows; i++)
        for (long n = j; n < columns; n++) {
            REAL *to = c + i * ldc + n;
            *to = last[i * LANES + n - from] + (more ? *to : 0);
        }
}

/* c (+)= a b, c of shape (rows, columns). */
static void NAME(multiply)(long rows, long columns, long depth, const REAL *a, long lda, const REAL *b, long ldb,
                           REAL *c, long ldc, int more) {
    long i = 0;
    for (; i + ROWS <= rows; i += ROWS)
        NAME(strip)(ROWS, columns, depth, a + i * lda, lda, b, ldb, c + i * ldc, ldc, more);
    for (; i + 4 <= rows; i += 4) NAME(strip)(4, columns, depth, a + i * lda, lda, b, ldb, c + i * ldc, ldc, more);
    if (rows - i == 3) NAME(strip)(3, columns, depth, a + i * lda, lda, b, ldb, c + i * ldc, ldc, more);
    if (rows - i == 2) NAME(strip)(2, columns, depth, a + i * lda, lda, b, ldb, c + i * ldc, ldc, more);
    if (rows - i == 1) NAME(strip)(1, columns, depth, a + i * lda, lda, b, ldb, c + i * ldc, ldc, more);
}

/* The columns that some rows of a matrix with this band use together. */
static inline void NAME(reach)(const int64_t *band, long all, long start, long rows, long *low, long *high) {
    *low = band[start], *high = band[all + start];
    for (long r = start + 1; r < start + rows; r++) {
        if (band[r] < *low) *low = band[r];
        if (band[all + r] > *high) *high = band[all + r];
    }
}

/* Responses to the X functions of `slices` output slices, (slices, functions) being the rows of each channel. */
static void NAME(along_x)(const Shape *s, const Tables *t, const REAL *x, long start, long slices, REAL *u,
                          long channel, long row) {
    long plane = s->in[1] * s->in[2], low, high;
    NAME(reach)(t->band[0], s->out[0], start, slices, &low, &high);
    const REAL *a = (const REAL *)t->matrix[0] + start * s->functions[0] * s->in[0] + low;
    for (long c = 0; c < s->in_channels; c++)
        NAME(multiply)(slices * s->functions[0], plane, high - low, a, s->in[0], x + c * s->x_channel + low * plane,
                       plane, u + c * channel, row, 0);
}

/* One Y function of a plane, rows `start` to `start + rows`. */
static inline void NAME(along_y)(const Shape *s, const Tables *t, long function, const REAL *u, long start, long rows,
                                 REAL *v, int more) {
    for (long r = 0; r < rows; r += 4) {
        long some = rows - r < 4 ? rows - r : 4, low, high;
        NAME(reach)(t->band[1], s->out[1], start + r, some, &low, &high);
        const REAL *a = (const REAL *)t->matrix[1] + (function * s->out[1] + start + r) * s->in[1] + low;
        NAME(multiply)(some, s->in[2], high - low, a, s->in[1], u + low * s->in[2], s->in[2], v + r * s->in[2],
                       s->in[2], more);
    }
}

/* One Z function of `rows` rows: m (rows, from) times its matrix (from, to). */
static inline void NAME(along_z)(const Tables *t, long function, long from, long to, const REAL *m, long rows, REAL *y,
                                 int more) {
    const REAL *b = (const REAL *)t->matrix[2] + function * from * to;
    for (long z = 0, width; z < to; z += width) {
        long low, high;
        width = to - z < 2 * LANES ? to - z : LANES;
        NAME(reach)(t->band[2], to, z, width, &low, &high);
        NAME(multiply)(rows, width, high - low, m + low, from, b + low * to + z, to, y + z, to, more);
    }
}

/* Responses to the pairs of X and Y functions of a slice, rows `start` to `start + rows`: (pairs, C, columns). */
static void NAME(pairs)(const Shape *s, const Tables *t, const REAL *u, long slices, long start, long rows,
                        long columns, REAL *v) {
    long plane = s->in[1] * s->in[2];
    for (long c = 0; c < s->in_channels; c++)
        for (long p = 0; p < s->pairs; p++)
            NAME(along_y)(s, t, t->pair[2 * p + 1], u + (c * slices * s->functions[0] + t->pair[2 * p]) * plane, start,
                          rows, v + (p * s->in_channels + c) * columns, 0);
}

/* y (+)= the contraction: two axes, mix, last axis. */
static void NAME(early)(const Shape *s, const Tables *t, const REAL *x, const REAL *mix, REAL *y, REAL *u, long start,
                        long slices) {
    long plane = s->in[1] * s->in[2], columns = s->rows * s->in[2], depth = s->pairs * s->in_channels;
    REAL *v = u + slices * s->functions[0] * s->in_channels * plane, *m = v + depth * columns;
    NAME(along_x)(s, t, x, start, slices, u, slices * s->functions[0] * plane, plane);
    for (long i = 0; i < slices; i++)
        for (long row = 0; row < s->out[1]; row += s->rows) {
            long rows = s->out[1] - row < s->rows ? s->out[1] - row : s->rows;
            NAME(pairs)(s, t, u + i * s->functions[0] * plane, slices, row, rows, columns, v);
            for (long f = 0; f < s->functions[2]; f++)
                NAME(multiply)(s->out_channels, rows * s->in[2], t->prefix[f] * s->in_channels,
                               mix + f * s->out_channels * depth, depth, v, columns,
                               m + f * s->out_channels * columns, columns, 0);
            for (long o = 0; o < s->out_channels; o++)
                for (long f = 0; f < s->functions[2]; f++)
                    NAME(along_z)(t, f, s->in[2], s->out[2], m + (f * s->out_channels + o) * columns, rows,
                                  y + o * s->y_channel + ((start + i) * s->out[1] + row) * s->out[2], s->more || f);
        }
}

/* The mirror image: first axis, mix, two axes; pairs are of Y and Z functions, sorted by Z. */
static void NAME(late)(const Shape *s, const Tables *t, const REAL *x, const REAL *mix, REAL *y, REAL *u, long start) {
    long plane = s->in[1] * s->in[2], depth = s->functions[0] * s->in_channels;
    REAL *v = u + depth * plane, *m = v + s->pairs * s->out_channels * plane;
    NAME(along_x)(s, t, x, start, 1, u, plane, s->in_channels * plane);
    for (long p = 0; p < s->pairs; p++)
        NAME(multiply)(s->out_channels, plane, t->prefix[p] * s->in_channels, mix + p * s->out_channels * depth, depth,
                       u, plane, v + p * s->out_channels * plane, plane, 0);
    for (long row = 0; row < s->out[1]; row += s->rows) {
        long rows = s->out[1] - row < s->rows ? s->out[1] - row : s->rows;
        for (long o = 0; o < s->out_channels; o++)
            for (long p = 0; p < s->pairs;) {
                long f = t->pair[2 * p + 1];
                for (int more = 0; p < s->pairs && t->pair[2 * p + 1] == f; p++, more = 1)
                    NAME(along_y)(s, t, t->pair[2 * p], v + (p * s->out_channels + o) * plane, row, rows, m, more);
                NAME(along_z)(t, f, s->in[2], s->out[2], m, rows,
                              y + o * s->y_channel + (start * s->out[1] + row) * s->out[2], s->more || f);
            }
    }
}

/* grad += the gradient of the mixing weights: (pairs * C, Z functions, O). */
static void NAME(weights)(const Shape *s, const Tables *t, const REAL *x, const REAL *g, REAL *grad, REAL *u,
                          long start, long slices) {
    long plane = s->in[1] * s->in[2], columns = s->rows * s->in[2], depth = s->pairs * s->in_channels;
    REAL *v = u + slices * s->functions[0] * s->in_channels * plane, *m = v + depth * columns, *turned = m + columns;
    long all = s->functions[2] * s->out_channels;
    NAME(along_x)(s, t, x, start, slices, u, slices * s->functions[0] * plane, plane);
    for (long i = 0; i < slices; i++)
        for (long row = 0; row < s->out[1]; row += s->rows) {
            long rows = s->out[1] - row < s->rows ? s->out[1] - row : s->rows;
            NAME(pairs)(s, t, u + i * s->functions[0] * plane, slices, row, rows, columns, v);
            for (long o = 0; o < s->out_channels; o++)
                for (long f = 0; f < s->functions[2]; f++) {
                    NAME(along_z)(t, f, s->out[2], s->in[2],
                                  g + o * s->y_channel + ((start + i) * s->out[1] + row) * s->out[2], rows, m, 0);
                    for (long k = 0; k < rows * s->in[2]; k++) turned[k * all + f * s->out_channels + o] = m[k];
                }
            /* Functions that need equally many pairs share a product, and so do few channels, to fill a register. */
            for (long f = 0, end; f < s->functions[2]; f = end) {
                long most = t->prefix[f];
                for (end = f + 1; end < s->functions[2]; end++) {
                    if (t->prefix[end] != t->prefix[f] && (end - f) * s->out_channels >= LANES) break;
                    if (t->prefix[end] > most) most = t->prefix[end];
                }
                NAME(multiply)(most * s->in_channels, (end - f) * s->out_channels, rows * s->in[2], v, columns,
                               turned + f * s->out_channels, all, grad + f * s->out_channels, all, 1);
            }
        }
}

/* All samples and slabs, shared out among the threads, always in the same way: sums must not change from run to run.
   With `grad` the gradient of the weights for the gradient y of the output, one copy for each thread. */
static void NAME(run)(const Shape *s, const Tables *t, const REAL *x, const REAL *mix, REAL *y, REAL *work,
                      REAL *grad) {
    long slabs = (s->out[0] + s->slices - 1) / s->slices;
#pragma omp parallel for schedule(static) num_threads(s->threads)
    for (long task = 0; task < s->batch * slabs; task++) {
        long n = task / slabs, start = task % slabs * s->slices;
        long slices = s->out[0] - start < s->slices ? s->out[0] - start : s->slices;
        REAL *own = work + omp_get_thread_num() * s->workspace;
        if (grad)
            NAME(weights)(s, t, x + n * s->x_batch, y + n * s->y_batch, grad + omp_get_thread_num() * s->weights, own,
                          start, slices);
        else if (s->late)
            NAME(late)(s, t, x + n * s->x_batch, mix, y + n * s->y_batch, own, start);
        else
            NAME(early)(s, t, x + n * s->x_batch, mix, y + n * s->y_batch, own, start, slices);
    }
}

#undef LANES
#undef REAL
#undef SUFFIX

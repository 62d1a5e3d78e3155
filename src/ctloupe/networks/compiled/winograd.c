/* Convolutions by Winograd's minimal filtering, on float32 images whose channels come last.

   F(m×m, r×r) with m + r = 7 (Lavin and Gray 2016, arXiv:1509.09308): tiles of 6×6 pixels are transformed, multiplied
   with transformed kernels in 36 matrix products, and transformed back; each tile goes through all of that while it
   is in the cache. Several threads may work on one job: they take tiles by a counter that they share. Nothing here
   needs Python: `library.py` calls it through ctypes. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 6, PLACES = SIDE * SIDE };

/* Floats of a line of the cache. The places of a tile lie one behind the other, a line each: written far from each other,
   each would wait until its line is there. Tiles lie a line further apart than they need: at steps of powers of two
   they would all be kept in the same few lines of the cache. */
enum { A_LINE = 16 };

/* An image that is read in steps of two pixels is four images of every other pixel, one behind the other: these rows and
   columns of each square of four pixels, as `strided.py` has them too. Kernels of three taps have four, of which the last
   is zero: the second and fourth rows or columns then have a single tap. */
static const int64_t PHASES[4][2] = {{1, 0}, {0, 0}, {0, 1}, {1, 1}};

/* Steps are counted in floats. `row_of` and `column_of` tell for each place of the padded input which row or column of
   the image it is, or −1 for zeros; `inputs` counts the channels of all images of a `stride`; `place_of` tells for each
   register of outputs where it lies beside the pixel. */
struct convolution {
    const float *in, *kernel, *bias, *skip, *zeros;
    float *out;
    const int64_t *row_of, *column_of, *place_of;
    int64_t inputs, outputs, height, width, side, tiles;
    int64_t in_image, in_row, in_column, out_image, out_row, out_column, skip_image, skip_row, skip_column;
    int64_t tiles_at_once, outputs_at_once, stride;
    float slope;
};

struct place {
    int64_t image, y, x;
};

static inline struct place place_of_tile(const struct convolution *job, int64_t tile)
{
    int64_t across = (job->width + job->side - 1) / job->side, down = (job->height + job->side - 1) / job->side;
    struct place at = {tile / across / down, tile / across % down * job->side, tile % across * job->side};
    return at;
}

static inline int64_t whole_lines(int64_t count)
{
    return (count + A_LINE - 1) / A_LINE * A_LINE;
}

/* Cleared where registers that no tile fills are read too: numbers left there could be slow ones. */
static float *room(int64_t count, int cleared)
{
    void *found = NULL;
    size_t bytes = (size_t)count * sizeof(float);
    if (posix_memalign(&found, 64, bytes)) return NULL;
    return cleared ? memset(found, 0, bytes) : found;
}

#define TEMPLATE "winograd.h"
#include "registers.h"

/* Floats of the widest register that this processor and this library have; 0 where there is nothing to gain. */
int widest_register(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return 16;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? 8 : 0;
#elif defined(HAS_4)
    return 4;
#else
    return 0;
#endif
}

/* What one thread does: it convolves, with activation and skip, or, where there are sums, it fills them with the
   gradient of the transformed kernel, (36, inputs, whole blocks of outputs). */
struct share {
    const struct convolution *job;
    int64_t *counter;
    float *sums;
};

struct work {
    const struct share *shares;
    int64_t count, next, failed;
    int32_t lanes;
};

static int done(const struct share *one, int lanes)
{
#if defined(HAS_4)
    if (lanes == 4) return one->sums ? add_gradient_4(one->job, one->counter, one->sums) : convolve_4(one->job, one->counter);
#endif
#if defined(HAS_8)
    if (lanes == 8) return one->sums ? add_gradient_8(one->job, one->counter, one->sums) : convolve_8(one->job, one->counter);
#endif
#if defined(HAS_16)
    if (lanes == 16)
        return one->sums ? add_gradient_16(one->job, one->counter, one->sums) : convolve_16(one->job, one->counter);
#endif
    (void)one;
    (void)lanes;
    return 1;
}

/* Do shares until none is left; any number of threads may call this for the same work. `failed` counts those for which
   there was not enough memory. */
void winograd(struct work *work)
{
    for (;;) {
        int64_t at = __atomic_fetch_add(&work->next, 1, __ATOMIC_RELAXED);
        if (at >= work->count) return;
        if (done(work->shares + at, work->lanes)) __atomic_fetch_add(&work->failed, 1, __ATOMIC_RELAXED);
    }
}
